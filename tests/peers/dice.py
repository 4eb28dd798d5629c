"""DiCE on the world ``loans``, quiet: what the comparison and the benchmark share."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pandas as pd

METHODS = ("random", "genetic", "kdtree")
FREE = ["annual_income_keur", "open_loans", "debt_to_income", "loan_amount_keur", "employment"]


class Dice:
    """One of DiCE's three methods for a fitted pipeline; categories go in as text, progress bars are caught."""

    def __init__(self, model: Any, X: pd.DataFrame, y: np.ndarray, method: str) -> None:
        import dice_ml

        self.X, self.method = X, method
        self.categorical = [c for c in X if isinstance(X[c].dtype, pd.CategoricalDtype)]
        numbers = [c for c in X if c not in self.categorical]
        table = self.as_text(X).assign(outcome=y)
        data = dice_ml.Data(dataframe=table, continuous_features=numbers, outcome_name="outcome")
        self.explainer = dice_ml.Dice(data, dice_ml.Model(model=model, backend="sklearn"), method=method)

    def as_text(self, X: pd.DataFrame) -> pd.DataFrame:
        return X.astype(dict.fromkeys(self.categorical, str))

    def explain(self, instances: pd.DataFrame, n: int, free: list[str] | str = "all") -> list[pd.DataFrame]:
        """Counterfactuals of every row; an empty table where it says that it found none."""
        from raiutils.exceptions import UserConfigValidationException

        seeded = {"random_seed": 0} if self.method == "random" else {}
        found = []
        for i in range(len(instances)):
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                try:
                    answer = self.explainer.generate_counterfactuals(
                        self.as_text(instances.iloc[[i]]), n, desired_class="opposite", features_to_vary=free, **seeded
                    )
                    rows = answer.cf_examples_list[0].final_cfs_df
                except UserConfigValidationException:
                    rows = None
            found.append(self.X[:0] if rows is None else rows[list(self.X)].astype(self.X.dtypes.to_dict()))
        return found
