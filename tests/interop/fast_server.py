"""A FastMCP server with one tool."""

from fastmcp import FastMCP

mcp = FastMCP("interop")


@mcp.tool
def add(a: int, b: int) -> int:
    """Adds two whole numbers."""
    return a + b
