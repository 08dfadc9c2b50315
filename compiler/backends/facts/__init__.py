"""What backends' libraries cannot take, as tables, and how a Program meets them."""

from compiler.backends.facts.plan import plan
from compiler.backends.facts.table import ANY_OPERATOR, Condition, Facts, read_facts

__all__ = ["ANY_OPERATOR", "Condition", "Facts", "plan", "read_facts"]
