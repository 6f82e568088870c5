import pytest

# Helpers explain a failed assert as test modules do.
pytest.register_assert_rewrite("tests.support")
