"""Statements of a script, as nodes: `make_node` of sandbox_nodes makes them."""

__all__: list[str] = []
