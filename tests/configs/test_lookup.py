"""Lookups: names, configs, classes and callables stand for objects; objects get unique names."""

from helpers import refused

import tinynet as tn
from tinynet.configs import serialization as module
from tinynet.configs.lookup import automatic_name, config_of, lookup, publish, unique_name


class Thing:
    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __call__(self):
        return 3


def double(x: float) -> float:
    return 2 * x


TABLE = {"Thing": Thing, "thing": Thing, "double": double}


def test_names_classes_configs_and_callables_are_looked_up():
    assert lookup("double", TABLE, "kind") is double
    assert lookup(double, TABLE, "kind") is double
    for identifier in ("Thing", "thing", Thing, {"class_name": "Thing"}):
        assert type(lookup(identifier, TABLE, "kind")) is Thing
    assert lookup(None, TABLE, "kind") is None


def test_an_unknown_identifier_is_refused_with_the_known_names():
    for wrong in ("triple", 3, {"class_name": "Other"}):
        with refused(ValueError, "kind", str(wrong), "Thing, double, thing", "custom_objects"):
            lookup(wrong, TABLE, "kind")


def test_an_unknown_name_is_refused_with_the_nearest_one_also_if_a_config_has_it():
    for wrong in ("doubel", {"class_name": "doubel"}, {"class_name": "doubel", "config": {}}):
        with refused(ValueError, "Did you mean 'double'?"):
            lookup(wrong, TABLE, "kind")


def test_the_config_of_a_known_object_is_its_name():
    assert config_of(double, TABLE) == "double"
    assert config_of(Thing(), TABLE)["class_name"] == "Thing"
    assert config_of(None, TABLE) is None


def test_published_objects_are_found_by_class_name_and_snake_case(monkeypatch):
    monkeypatch.setattr(module, "MODULES", {})
    table = publish("keras.things", Thing, double)
    assert table == TABLE
    published = module.MODULES["keras.things"]
    assert published == {"Thing": Thing, "double": double}


def test_automatic_names_are_numbered_until_the_session_is_cleared():
    tn.utils.clear_session()
    assert [automatic_name(Thing()) for _ in range(3)] == ["thing", "thing_1", "thing_2"]
    assert unique_name("other") == "other"
    tn.utils.clear_session()
    assert automatic_name(Thing()) == "thing"
