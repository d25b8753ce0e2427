"""The conditions that a model of music is told of a piece that it is to write: wishes, or else those of the primer."""

from __future__ import annotations

from seqaudio.decoding.plan import Plan
from seqaudio.tokens.conditions import Conditions, Traits
from seqaudio.tokens.repertoire import Shape


def asked_values(conditions: Conditions, plan: Plan) -> list[int]:
    """[C] the value of each condition; 0, unknown, for what is neither asked for nor that of a primer."""
    wishes, own = plan.wishes, _of_primer(plan)
    traits = Traits(
        wishes.key or own.key,
        wishes.tempo or own.tempo,
        own.metre if wishes.metre is None else wishes.metre.name,
        own.density,
    )
    return conditions.values(traits, wishes.density)


def _of_primer(plan: Plan) -> Traits:
    """The traits of the primer, read as those of training pieces are; none known without one."""
    shape = None if plan.primer is None else Shape.of(plan.primer, plan.representation)
    if plan.primer is None or shape is None:
        return Traits()
    return Traits.of(plan.representation.quantise(plan.primer), shape.tempo, shape.metre)
