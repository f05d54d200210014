"""What objects show of themselves: their `repr`, and their HTML in a notebook."""

import numpy as np
import pytest

import tinynet as tn
from tinynet.layers import Dense, Input


def normal(seed, n):
    return np.random.default_rng(seed).normal(size=n)


def test_tensors_show_their_numbers_and_gradients_in_a_notebook():
    x = tn.tensor([[1.0, 2.5]], requires_grad=True)
    table = "<table><tr><td>1</td><td>2.5</td></tr></table>"
    head = "<div>tensor, float32 (1, 2)</div>"
    assert x._repr_html_() == f"{head}{table}<div>no gradient yet</div>"
    (x * x).sum().backward()
    slopes = "<table><tr><td>2</td><td>5</td></tr></table>"
    assert x._repr_html_() == f"{head}{table}<div>gradient</div>{slopes}"
    assert tn.tensor(True)._repr_html_().endswith("<td>True</td></tr></table>")
    assert "..." in tn.tensor(normal(0, 300))._repr_html_()


@pytest.mark.parametrize("layers", [[Input((2,)), Dense(3)], [Dense(3)]])
def test_models_show_their_summary_in_a_notebook(layers):
    model, lines = tn.Sequential(layers, name="<model>"), []
    model.summary(98, print_fn=lines.append)
    html = model._repr_html_()
    assert "&lt;model&gt;" in html
    assert "(Dense)" in html
    for sign, entity in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"')):
        html = html.replace(sign, entity)
    assert lines[0] in html
    assert "monospace" in html  # else the box's lines and letters differ in width


@pytest.fixture
def trained():
    model = tn.Sequential([Input((2,)), Dense(1, name="<line>")], name="net")
    model.compile(tn.optimizers.Adam(0.5), "mse", metrics=["mae"])
    model.fit(np.zeros((4, 2)), np.ones(4), epochs=20, verbose=0)
    return model


@tn.jit
def doubled(x):
    return x * 2.0


def test_each_object_of_a_training_says_what_it_is(trained):
    doubled([1.0])
    history, loss = trained.history, trained.history.history["loss"][-1]
    mae = trained.history.history["mae"][-1]
    shown = {
        history: f"<History epochs=20, loss={loss:.6g}, mae={mae:.6g}>",
        trained.optimizer: "Adam(learning_rate=0.5)",
        tn.optimizers.SGD(0.1, momentum=0.5, nesterov=True): (
            "SGD(learning_rate=0.1, momentum=0.5, nesterov=True)"
        ),
        tn.optimizers.SGD(tn.optimizers.schedules.CosineDecay(0.1, 10)): (
            "SGD(learning_rate=CosineDecay(...))"
        ),
        trained.layers[0]: "<Dense name=<line>, built=True>",  # as in Keras
        trained.train_function: "<compiled train step of net: NumPy>",
        trained.test_function: "<compiled test step of net: not run yet>",
        doubled: "<compiled function doubled: NumPy, 1 compilations>",
        tn.losses.Huber(2.0): "Huber(delta=2)",
        tn.initializers.RandomNormal(stddev=0.1): "RandomNormal(stddev=0.1)",
        tn.regularizers.L2(0.5): "L2(l2=0.5)",
    }
    assert {repr(thing): text for thing, text in shown.items()} == {t: t for t in shown.values()}


def test_the_repr_of_an_incomplete_object_does_not_fail():
    class Incomplete(tn.losses.Loss):
        def __init__(self):
            """Call no other constructor."""

    assert "Incomplete object at" in repr(Incomplete())


def test_a_history_is_a_table_of_the_last_epochs_in_a_notebook(trained):
    html = trained.history._repr_html_()
    assert "<th>epoch</th><th>loss</th><th>mae</th>" in html
    assert [f"<td>{epoch}</td>" in html for epoch in (7, 8, 19)] == [False, True, True]


def test_layers_variables_and_compiled_functions_are_shown_in_a_notebook(trained):
    layer = trained.layers[0]._repr_html_()
    assert "&lt;Dense name=&lt;line&gt;" in layer
    assert "<td>(2, 1)</td><td>float32</td>" in layer
    assert tn.Variable([1.0], name="w")._repr_html_() == (
        "<div>w, float32 (1,)</div><table><tr><td>1</td></tr></table><div>no gradient yet</div>"
    )
    doubled([1.0])
    assert "multiply(x, " in doubled._repr_html_()
    assert trained.train_function.source.split("\n")[0] in trained.train_function._repr_html_()
    assert trained.test_function._repr_html_().count("<pre>") == 1
    assert trained.optimizer._repr_html_() == "<pre>Adam(learning_rate=0.5)</pre>"


def test_a_table_of_an_explanation_prints_and_shows_itself(trained):
    table = trained.explain_step(np.ones((2, 2)), np.ones(2)).gradient_of("bias", 0)
    assert str(table) == repr(table) == table.text()
    assert str(table).startswith("backward: d loss / d <line>/bias[0]\n")
    assert "<table>" in table._repr_html_()


def test_explain_step_needs_targets_only_where_fit_does():
    inputs = Input((2,))
    model = tn.Model(inputs, Dense(1, activity_regularizer="l2")(inputs))
    model.compile("sgd")
    x = np.ones((3, 2))
    told = model.explain_step(x)
    assert told.loss == pytest.approx(model.evaluate(x, verbose=0))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="y"):
        model.explain_step(x)
