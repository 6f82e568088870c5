"""Personas: the roles that the model can take. The operator's PERSONAS replace the built-in ones. Pure."""

from .built_in import BUILT_IN
from .loading import load_personas
from .persona import ICONS, Persona, Wording

__all__ = ["BUILT_IN", "ICONS", "Persona", "Wording", "load_personas"]
