"""From `module:attribute` to the application, or to one line that says what to do.

It owns finding the application and the wording of every way in which that fails. It must not
know ASGI: what can be called is an application here.

Each failure is a `StartupError`. When the application's own code raised, the error carries its
traceback as a note, without the frames of weft and of the import system.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import logging
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType, TracebackType
from typing import Any, NoReturn

from weft._core import StartupError

__all__ = ["StartupError", "load_app"]

Application = Callable[..., Any]

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_USUAL_NAMES = ("app", "application", "asgi", "api", "create_app", "get_app", "make_app")


def load_app(spec: str, *, factory: bool, app_dir: str) -> Application:
    """Import the application that `spec` names; `app_dir` becomes the first place to look.

    Raises StartupError.
    """
    module_name, attribute = _split(spec)
    folder = pathlib.Path(app_dir).resolve()
    if not folder.is_dir():
        raise StartupError(f"--app-dir {app_dir}: there is no such folder")
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
    found = _find(_import(module_name, attribute, folder), attribute)
    if not callable(found):
        raise StartupError(
            f'"{spec}" is {_a(type(found).__name__)}, which cannot be called; name an '
            f"application or, with --factory, a function that returns one"
        )
    if not factory and not _looks_like_factory(found):
        return found
    if not factory:
        logging.getLogger("uvicorn.error").warning(
            '"%s" is a factory, so it is called; say so with --factory', spec
        )
    return _made_by(found, spec)


def _split(spec: str) -> tuple[str, str]:
    module, colon, attribute = spec.partition(":")
    if _NAME.fullmatch(module) and _NAME.fullmatch(attribute) and not module.endswith(".py"):
        return module, attribute
    better = _respelled(module, colon, attribute)
    advice = f"; did you mean {better}?" if better else ", for example main:app"
    raise StartupError(f'"{spec}" is not written MODULE:ATTRIBUTE{advice}')


def _respelled(module: str, colon: str, attribute: str) -> str | None:
    """What was probably meant, for the spellings that people try."""
    if attribute.endswith("()"):
        better = _respelled(module, colon, attribute[:-2]) or f"{module}:{attribute[:-2]}"
        return f"--factory {better}"
    path = module.replace("\\", "/")
    folder = ""
    if path.startswith("/"):
        folder, _, path = path.rpartition("/")
        folder = f"--app-dir {folder or '/'} "
    path = re.sub(r"^(\./)+", "", path)
    name = path.removesuffix(".py").strip("/").replace("/", ".")
    head, _, last = name.rpartition(".")
    if not colon and head and last in _USUAL_NAMES and not path.endswith(".py"):
        # main.app: the last dot was to be the colon.
        name, attribute = head, last
    attribute = attribute or "app"
    if not _NAME.fullmatch(name) or not _NAME.fullmatch(attribute):
        return None
    return f"{folder}{name}:{attribute}"


def _import(name: str, attribute: str, folder: pathlib.Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if _is_missing(name, error):
            _fail_missing(name, attribute, folder)
        hint = f"; is it installed for {sys.executable}?" if error.name else ""
        _fail_inside(error, f'importing "{name}" failed: {error}{hint}')
    except SystemExit as error:
        _fail_inside(error, f'importing "{name}" called sys.exit({error.code!r})')
    except Exception as error:
        _fail_inside(error, f'importing "{name}" failed: {_brief(error)}')


def _is_missing(name: str, error: ModuleNotFoundError) -> bool:
    """Whether the module itself is not there, rather than one that it imports."""
    within = error.name is not None and (name == error.name or name.startswith(f"{error.name}."))
    return within and _application_frames(error.__traceback__) is None


def _fail_missing(name: str, attribute: str, folder: pathlib.Path) -> NoReturn:
    near = _near_modules(name, folder)
    if near is None:
        advice = "run weft from the folder that holds it, or name that folder with --app-dir"
    else:
        advice = f"did you mean {near}:{attribute}?"
    raise StartupError(f'there is no module "{name}" in {folder}; {advice}') from None


def _near_modules(name: str, folder: pathlib.Path) -> str | None:
    """The module in the folder, or one level below it, that was probably meant."""
    here = _modules_in(folder)
    below = [f"{package}.{module}" for package in here for module in _modules_in(folder / package)]
    close = difflib.get_close_matches(name, here + below, n=1)
    if close:
        return close[0]
    return next((module for module in below if module.endswith(f".{name}")), None)


def _modules_in(folder: pathlib.Path) -> list[str]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    names = (
        entry.stem
        for entry in entries
        if entry.suffix == ".py" or (not entry.suffix and entry.is_dir())
    )
    return [name for name in names if name.isidentifier() and name != "__init__"]


def _find(module: ModuleType, attribute: str) -> object:
    found: object = module
    path = module.__name__
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = _near_attributes(found, part)
            advice = f"; did you mean {near}?" if near else ""
            owner = "module" if found is module else _a(type(found).__name__)
            raise StartupError(f'{owner} "{path}" has no attribute "{part}"{advice}') from None
        except Exception as error:
            _fail_inside(error, f'reading "{path}.{part}" failed: {_brief(error)}')
        path = f"{path}.{part}"
    return found


def _near_attributes(owner: object, name: str) -> str | None:
    names: list[str] = [
        known for known in getattr(owner, "__dict__", ()) if not known.startswith("_")
    ]
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return close[0]
    return next((usual for usual in _USUAL_NAMES if usual in names), None)


def _made_by(factory: Application, spec: str) -> Application:
    try:
        made = factory()
    except SystemExit as error:
        _fail_inside(error, f'the factory "{spec}" called sys.exit({error.code!r})')
    except Exception as error:
        _fail_inside(error, f'the factory "{spec}" failed: {_brief(error)}')
    if inspect.iscoroutine(made):
        made.close()
        raise StartupError(
            f'the factory "{spec}" is an async function; make it a plain one, and await in the '
            f"lifespan what must be awaited"
        )
    if not callable(made):
        raise StartupError(
            f'the factory "{spec}" returned {_a(type(made).__name__)}, which cannot be called; '
            f"it must return the application"
        )
    return made  # type: ignore[no-any-return]  # callable is all there is to know


def _looks_like_factory(found: Application) -> bool:
    """Whether it is made to be called with nothing, which no application is."""
    if not inspect.isclass(found) and _is_async(found):
        return False
    try:
        signature = inspect.signature(found)
        signature.bind()
    except (TypeError, ValueError):
        return False
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    # A wrapper around an application takes `*args` too, and must not be called to find out.
    return inspect.isclass(found) or inspect.Parameter.VAR_POSITIONAL not in kinds


def _is_async(found: Application) -> bool:
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(
        type(found).__call__  # a function has one as well, but no async one
    )


def _fail_inside(error: BaseException, message: str) -> NoReturn:
    """Blame the application's own code, and show where in it."""
    failure = StartupError(message)
    failure.add_note(_trimmed(error))
    raise failure from error


def _trimmed(error: BaseException) -> str:
    """The traceback without the frames before the application's first, through all causes."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        link.__traceback__ = _application_frames(link.__traceback__)
        chain += [link.__cause__, link.__context__]
    return "".join(traceback.format_exception(error)).rstrip()


def _application_frames(frames: TracebackType | None) -> TracebackType | None:
    kept = [frame for frame in _each(frames) if not _is_machinery(frame)]
    trimmed = None
    for frame in reversed(kept):
        trimmed = TracebackType(trimmed, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return trimmed


def _each(frames: TracebackType | None) -> Iterable[TracebackType]:
    while frames is not None:
        yield frames
        frames = frames.tb_next


def _is_machinery(frame: TracebackType) -> bool:
    file = frame.tb_frame.f_code.co_filename
    return file.startswith("<frozen importlib") or file in (importlib.__file__, __file__)


def _brief(error: BaseException) -> str:
    """The error in one line."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{kind}: {error.msg} ({os.path.relpath(error.filename)}, line {error.lineno})"
    first, *_ = str(error).splitlines() or [""]
    return f"{kind}: {first}" if first else kind


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"
