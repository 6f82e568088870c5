<<<<<<< HEAD
"""Helpers for tests of tools."""
=======
"""Helpers of the tests of tools."""
>>>>>>> 4dd0e50e72cc90a46f40b1d38016f3b24fbf1a28
