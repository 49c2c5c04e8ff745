"""Watches training: the first step with a number that is not finite ends the job."""

from torch import Tensor, nn

from golf.errors import Diverged
from golf.runtime.finite import Norms


class NoFiniteCheck:
    """For steps that are undone: nothing is looked at."""

    def look_at(self, step: int, loss: Tensor | None = None) -> None:
        """Call in each step, on every rank, before the gradients are clipped. Raises Diverged."""

    def require_finite(self, step: int) -> None:
        """Call before something is made of the weights that `step` left. Raises Diverged."""


class FiniteCheck(NoFiniteCheck):
    """Looks at the weights that are trained, at their gradients and at the loss, in every step.

    No step waits for a GPU: what it computed is looked at in the step after. `what` names a step, `remedy` is for the
    user.
    """

    def __init__(self, model: nn.Module, what: str, remedy: str):
        self.trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.what = what
        self.remedy = remedy
        self._pending: tuple[int, Norms] | None = None

    def look_at(self, step: int, loss: Tensor | None = None) -> None:
        self._judge()
        weights = {f"the weight {name} before it": parameter for name, parameter in self.trained.items()}
        gradients = {
            f"the gradient of {name}": parameter.grad
            for name, parameter in self.trained.items()
            if parameter.grad is not None
        }
        norms = Norms(weights | gradients, loss)
        self._pending = step, norms
        if not norms.is_on_its_way():
            self._judge()

    def require_finite(self, step: int) -> None:
        self._judge()
        self._pending = step, Norms({f"the weight {name} after it": weight for name, weight in self.trained.items()})
        self._judge()

    def _judge(self) -> None:
        if self._pending is None:
            return
        (step, norms), self._pending = self._pending, None
        if (bad := norms.first_bad()) is not None:
            raise Diverged(f"{self.what} {step}: {bad}; {self.remedy}")
