"""Names of the solvers, apart from the solvers: reading them loads no solver library."""

from typing import Literal, get_args

Solver = Literal["none", "random", "greedy", "2-opt", "search", "best"]
SOLVERS: tuple[Solver, ...] = get_args(Solver)
