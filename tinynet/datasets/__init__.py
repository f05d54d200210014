"""Data sets: Keras's `mnist`, `imdb` and so on, and `digits`, which needs no network.

Each is a module with a function ``load_data()``, which returns ``(x_train, y_train), (x_test,
y_test)``. The first call downloads a file into Keras's cache folder (see `utils.get_file`); files
that Keras has left there are used. To read: `download.py`, then `published.py`.

>>> (x_train, y_train), (x_test, y_test) = digits.load_data()
>>> x_train.shape, x_test.shape, y_train[:5].tolist()
((1437, 8, 8), (360, 8, 8), [1, 0, 9, 1, 1])
"""

_HOMES = {
    "": "boston_housing california_housing cifar10 cifar100 digits fashion_mnist imdb mnist reuters"
}
