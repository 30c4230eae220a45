"""The Sphinx extension: directives whose text is made from the product when the site is built. Nobody knows what such a
page depends on, so build with -E: all pages anew.

    {made} configuration      what one of MAKERS makes
    {section} README.md       the section of a file of the repository whose heading stands below
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from docs._ext import command_line, configuration, events, plugins, readme, wire

MAKERS: dict[str, Callable[[], str]] = {
    "configuration": configuration.sections,
    "plugin-options": configuration.options,
    "commands": command_line.commands,
    "daemon": command_line.of_the_daemon,
    "exit-codes": command_line.exit_codes,
    "error-codes": command_line.error_codes,
    "plugin-face": plugins.face,
    "plugin-kit": plugins.kit,
    "plugin-rules": plugins.rules,
    "verbs": wire.verbs,
    "envelope": wire.envelope,
    "shapes": wire.shapes,
    "announcement": events.envelope,
    "topics": events.topics,
    "lost": events.lost,
}


class Made(SphinxDirective):
    """`{made} NAME`: Markdown, with headings, made from the models."""

    required_arguments = 1

    def run(self) -> list[Any]:
        return self.parse_text_to_nodes(MAKERS[self.arguments[0]](), allow_section_headings=True)


class Section(SphinxDirective):
    """`{section} FILE`, and its heading below."""

    required_arguments = 1
    has_content: ClassVar[bool] = True

    def run(self) -> list[Any]:
        file, heading = self.arguments[0], " ".join(self.content)
        return self.parse_text_to_nodes(readme.section(file, heading), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("made", Made)
    app.add_directive("section", Section)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
