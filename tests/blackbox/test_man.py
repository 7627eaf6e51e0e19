"""The man pages: made without a warning, and with every program, command, option and setting."""

import os
import pathlib
import re
import subprocess

import pytest

TREE = pathlib.Path(os.environ["SENDGUARD_TREE"])
BUILD = TREE / os.environ["SENDGUARD_BUILD"]
PAGES = ["sendguard.1", "sendguard.conf.5", "sendguard-fcgi.8", "sendguard-mta.8", "sendguard-web.8"]
SHOWN = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "500", "MANOPT": ""}


def output(*command, **more):
    done = subprocess.run(command, cwd=TREE, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


def sendguard(*words):
    return output(BUILD / "sendguard", *words)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The page's file by its name."""
    folder = tmp_path_factory.mktemp("man")

    def make(page):
        path = folder / page
        path.write_text(output("tools/man", page, BUILD))
        return path
    return make


def shown(path):
    """The page as a reader sees it, in lower case, its white space as single spaces. Warnings fail."""
    text = output("man", "--warnings", "-E", "UTF-8", "--no-hyphenation", "--no-justification", "-l", path,
                  env=SHOWN)
    return re.sub(r"\s+", " ", text).lower()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_fault_and_what_its_kind_has(source, page):
    name = page.rpartition(".")[0]
    text = shown(source(page))
    assert f" name {name} - " in text and " description " in text
    for other in PAGES:
        other_name, _, section = other.rpartition(".")
        assert other == page or f"{other_name}({section})" in text.partition(" see also ")[2]


@pytest.mark.parametrize("page", [page for page in PAGES if page != "sendguard.conf.5"])
def test_all_that_a_program_says_of_itself(source, page):
    text = shown(source(page))
    for word in output(BUILD / page.rpartition(".")[0], "--help").lower().split():
        assert word.removeprefix("usage:") in text, word


def test_every_command_with_its_options(source):
    text = shown(source("sendguard.1")).partition(" commands ")[2]
    names = [re.match(r"  ([a-z -]+?)(?: [^a-z ].*|  .*)?$", line)[1].strip()
             for line in sendguard("help").splitlines() if re.match(r"  [a-z]", line)]
    assert len(names) > 25 and "staff add" in names and "near" in names
    for name in names:
        for word in sendguard("help", *name.split()).partition("  -c FILE")[0].split()[2:]:
            assert word.lower() in text or word == "[OPTIONS]", (name, word)


def test_every_setting_with_its_sentence(source):
    text = shown(source("sendguard.conf.5"))
    section = None
    count = 0
    for line in sendguard("config", "--defaults").splitlines():
        if line.startswith("["):
            section = line
            text = text.partition(f" {section} ")[2]
            assert text, f"no section {section}, or not in the order of the table"
        elif re.match(r"#?[a-z_]+ =", line):
            assert f"{line.lstrip('#').partition(' =')[0]} (" in text, (section, line)
            count += 1
    assert count > 60
