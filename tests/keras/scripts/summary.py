"""The summary of a model, line by line, and its counts."""

import keras

inputs = keras.Input((7,), name="input")
x = keras.layers.Dense(32, activation="relu", name="dense_a")(inputs)
x = keras.layers.Dropout(0.5, name="drop")(x)
model = keras.Model(inputs, keras.layers.Dense(10, name="dense_b")(x), name="counted")
lines = []
model.summary(line_length=80, print_fn=lambda text, line_break=None: lines.append(text))
text = "\n".join(lines)

results = {
    "parameters": model.count_params(),
    "layers": [(layer.name, layer.count_params()) for layer in model.layers],
    "shapes": [list(w.shape) for w in model.trainable_weights],
    "named": [name in text for name in ("counted", "dense_a", "drop", "dense_b", "586")],
}
