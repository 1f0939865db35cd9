"""Ridge regression on scikit-learn's bundled diabetes data, for a list of regularisation strengths."""

import argparse
import json
from pathlib import Path

from azureml.core import Run
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--alphas", type=float, nargs="+", default=[0.1, 0.5, 1.0])
alphas = parser.parse_args().alphas

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)

run = Run.get_context()
errors = {}
for alpha in alphas:
    model = Ridge(alpha=alpha).fit(X_train, y_train)
    errors[alpha] = mean_squared_error(y_test, model.predict(X_test))
    run.log("alpha", alpha)
    run.log("mse", errors[alpha])
    print(f"alpha {alpha:<6g} mean squared error {errors[alpha]:8.1f}")

best = min(errors, key=lambda alpha: errors[alpha])
print(f"\nbest: alpha {best:g} with {errors[best]:.1f}")

model = Ridge(alpha=best).fit(X_train, y_train)
Path("outputs").mkdir(exist_ok=True)
summary = {"alpha": best, "mse": errors[best], "coefficients": list(model.coef_), "intercept": model.intercept_}
Path("outputs/model.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
