"""English: rules from written to spoken form, in order: the special before the general."""

from . import amounts, names

RULES = (*names.RULES, *amounts.RULES)
"""All rules, in order."""
