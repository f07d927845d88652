"""From `module:attribute` to the application, or to one line that says what to do."""

from __future__ import annotations

import logging
import sys

import pytest

from weft.importer import StartupError, load_app


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder of its own; what is imported from it is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def load(spec, *, factory=False, app_dir=""):
    return load_app(spec, factory=factory, app_dir=app_dir)


def failure(spec, **keywords):
    with pytest.raises(StartupError) as caught:
        load(spec, **keywords)
    message = str(caught.value)
    assert "\n" not in message
    return message


def traceback_of(spec, **keywords):
    with pytest.raises(StartupError) as caught:
        load(spec, **keywords)
    (note,) = caught.value.__notes__
    return note


APP = "async def app(scope, receive, send): ...\n"


def test_an_application_is_found_in_the_current_folder(folder):
    write(folder, "main.py", APP)
    assert load("main:app").__name__ == "app"
    assert sys.path[0] == str(folder)


def test_an_application_is_found_in_another_folder(folder):
    write(folder, "elsewhere/service.py", APP)
    assert load("service:app", app_dir="elsewhere").__module__ == "service"
    assert sys.path[0] == str(folder / "elsewhere")


def test_attributes_of_attributes_are_found(folder):
    write(folder, "main.py", f"class box:\n class inner:\n  {APP}")
    assert load("main:box.inner.app").__qualname__ == "box.inner.app"


def test_the_first_place_is_not_added_twice(folder):
    write(folder, "main.py", APP)
    load("main:app")
    load("main:app")
    assert sys.path.count(str(folder)) == 1


def test_a_missing_folder_is_named(folder):
    assert failure("main:app", app_dir="nowhere") == "--app-dir nowhere: there is no such folder"


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ("main", "; did you mean main:app?"),
        ("main.py", "; did you mean main:app?"),
        ("./main.py", "; did you mean main:app?"),
        ("main.py:application", "; did you mean main:application?"),
        ("app/main.py:app", "; did you mean app.main:app?"),
        ("app/main", "; did you mean app.main:app?"),
        ("app\\main.py:app", "; did you mean app.main:app?"),
        ("main.app", "; did you mean main:app?"),
        ("shop.main", "; did you mean shop.main:app?"),
        ("/srv/app/main.py:app", "; did you mean --app-dir /srv/app main:app?"),
        ("main:create_app()", "; did you mean --factory main:create_app?"),
        ("main:", "; did you mean main:app?"),
        (":app", ", for example main:app"),
        ("main:a-b", ", for example main:app"),
        ("main:app:extra", ", for example main:app"),
        ("../main.py", ", for example main:app"),
    ],
)
def test_other_spellings_are_put_right(folder, spec, advice):
    assert failure(spec) == f'"{spec}" is not written MODULE:ATTRIBUTE{advice}'


def test_a_missing_module_is_named_with_the_place_that_was_searched(folder):
    assert failure("main:app") == (
        f'there is no module "main" in {folder}; run weft from the folder that holds it, or '
        f"name that folder with --app-dir"
    )


def test_a_misspelled_module_is_put_right(folder):
    write(folder, "server.py", APP)
    assert failure("sevrer:app").endswith("; did you mean server:app?")


def test_a_module_one_folder_down_is_found_for_the_user(folder):
    write(folder, "backend/main.py", APP)
    assert failure("main:app").endswith("; did you mean backend.main:app?")
    assert failure("backend.mian:app").endswith("; did you mean backend.main:app?")


def test_a_missing_dependency_is_not_taken_for_a_missing_module(folder):
    write(folder, "main.py", "import not_installed_here\n")
    assert failure("main:app") == (
        "importing \"main\" failed: No module named 'not_installed_here'; is it installed for "
        f"{sys.executable}?"
    )


def test_a_module_that_imports_its_own_name_wrongly_is_to_blame_itself(folder):
    write(folder, "pack/__init__.py", "")
    write(folder, "pack/main.py", "import pack.missing\n")
    assert failure("pack.main:app").startswith('importing "pack.main" failed: No module named')


def test_an_error_inside_the_application_is_shown_from_its_first_frame(folder):
    write(folder, "main.py", "from lower import value\n")
    write(folder, "lower.py", "value = {}['key']\n")
    assert failure("main:app") == "importing \"main\" failed: KeyError: 'key'"
    for name in ("main", "lower"):
        sys.modules.pop(name, None)
    text = traceback_of("main:app")
    assert text.startswith("Traceback (most recent call last):\n")
    assert [line.split('"')[1] for line in text.splitlines() if "File " in line] == [
        str(folder / "main.py"),
        str(folder / "lower.py"),
    ]


def test_causes_are_shown_and_trimmed_too(folder):
    write(
        folder,
        "main.py",
        "try:\n    import lower\nexcept ValueError as e:\n    raise RuntimeError('late') from e\n",
    )
    write(folder, "lower.py", "raise ValueError('early')\n")
    text = traceback_of("main:app")
    assert "ValueError: early" in text
    assert "RuntimeError: late" in text
    assert "importlib" not in text
    assert "importer.py" not in text


def test_a_syntax_error_names_file_and_line(folder):
    write(folder, "main.py", "x = 1\ndef app(:\n")
    assert failure("main:app").endswith("SyntaxError: invalid syntax (main.py, line 2)")
    assert "def app(:" in traceback_of("main:app")


def test_only_the_first_line_of_a_long_error_is_in_the_message(folder):
    write(folder, "main.py", "raise ValueError('2 errors\\nfield a\\nfield b')\n")
    assert failure("main:app") == 'importing "main" failed: ValueError: 2 errors'


def test_an_application_that_exits_at_import_is_said_to_do_so(folder):
    write(folder, "main.py", "import sys\nsys.exit('DATABASE_URL is not set')\n")
    assert failure("main:app") == ("importing \"main\" called sys.exit('DATABASE_URL is not set')")


def test_a_keyboard_interrupt_is_not_a_failed_start(folder):
    write(folder, "main.py", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load("main:app")


def test_a_missing_attribute_is_put_right(folder):
    write(folder, "main.py", APP + "class box: application = 1\n")
    assert failure("main:ap") == 'module "main" has no attribute "ap"; did you mean app?'
    assert failure("main:server") == 'module "main" has no attribute "server"; did you mean app?'
    assert failure("main:box.app").endswith('has no attribute "app"; did you mean application?')


def test_an_attribute_that_cannot_be_called_is_said_to_be_none(folder):
    write(folder, "main.py", "app = 'text'\nother = 1\n")
    assert failure("main:app") == (
        '"main:app" is a str, which cannot be called; name an application or, with --factory, '
        "a function that returns one"
    )
    assert failure("main:other", factory=True).startswith('"main:other" is an int, ')


def test_a_factory_is_called(folder, caplog):
    write(folder, "main.py", APP + "def make(debug=True): return app\n")
    assert load("main:make", factory=True).__name__ == "app"
    assert not caplog.records


def test_an_unflagged_factory_is_called_with_a_warning(folder, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    write(folder, "main.py", APP + "def make(debug=True): return app\n")
    assert load("main:make").__name__ == "app"
    (record,) = caplog.records
    assert record.name == "uvicorn.error"
    assert record.getMessage() == '"main:make" is a factory, so it is called; say so with --factory'


@pytest.mark.parametrize(
    "text",
    [
        "async def app(scope=None, receive=None, send=None): ...",
        "def app(*args): raise AssertionError('called')",
        "def app(scope): raise AssertionError('called')",
        "class App:\n async def __call__(self, scope, receive, send): ...\napp = App()",
        "class app:\n def __init__(self, scope, receive, send): ...\n def __await__(self): ...",
        "import functools\napp = functools.partial(int)\ndef app(environ, start): ...",
    ],
)
def test_an_application_is_not_taken_for_a_factory(folder, text):
    write(folder, "main.py", text)
    found = load("main:app")
    assert found is sys.modules["main"].app


def test_a_class_whose_objects_are_applications_is_a_factory(folder):
    write(folder, "main.py", "class App:\n async def __call__(self, scope, receive, send): ...\n")
    assert type(load("main:App", factory=True)).__name__ == "App"
    assert type(load("main:App")).__name__ == "App"


def test_a_factory_that_fails_is_blamed_with_its_frames(folder):
    write(folder, "main.py", "def make():\n    raise ValueError('no database')\n")
    for factory in (True, False):
        assert failure("main:make", factory=factory) == (
            'the factory "main:make" failed: ValueError: no database'
        )
    text = traceback_of("main:make", factory=True)
    assert text.count("File ") == 1
    assert "in make" in text


def test_a_factory_that_needs_arguments_is_blamed(folder):
    write(folder, "main.py", "def make(settings): ...\n")
    assert "missing 1 required positional argument" in failure("main:make", factory=True)


def test_a_factory_that_returns_no_application_is_blamed(folder):
    write(folder, "main.py", "def make(): pass\nasync def later(): ...\n")
    assert failure("main:make", factory=True) == (
        'the factory "main:make" returned a NoneType, which cannot be called; it must return '
        "the application"
    )
    assert "is an async function; make it a plain one" in failure("main:later", factory=True)
