"""Pages of the docs about senders, as the page shows them."""

from __future__ import annotations

import re

import pytest

from service.dashboard.guides import guide, rendered
from service.intake.senders import KINDS

WRITTEN = """\
Words with `a<b`, *weak* and **strong** ones.

1. First
   goes on.

       code <x>

   | a | b |
   |---|---|
   | 1 | `2` |
2. Second
   - one
   - [two](https://example.com/?a=b)

```yaml
key: "value"
```

## Heading
see [there](other.md)
"""
SHOWN = """\
<p>Words with <code>a&lt;b</code>, <em>weak</em> and <strong>strong</strong> ones.</p>
<ol><li><p>First goes on.</p>
<pre class="sent" tabindex="0">code &lt;x&gt;</pre>
<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>
<tbody><tr><td>1</td><td><code>2</code></td></tr></tbody></table></li>
<li><p>Second</p>
<ul><li><p>one</p></li>
<li><p><a href="https://example.com/?a=b" rel="noreferrer">two</a></p></li></ul></li></ol>
<pre class="sent" tabindex="0">key: &#34;value&#34;</pre>
<h3>Heading</h3>
<p>see there</p>
"""


def test_what_those_pages_use_of_markdown_is_shown() -> None:
    assert rendered(WRITTEN) == SHOWN.replace("\n", "")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_page_with_steps_and_nothing_is_left_of_its_markup(kind: str) -> None:
    shown = guide(kind)
    assert re.search(r"<ol><li>|<h3>|<pre", shown)
    words = re.sub(r"<(pre|code)\b.*?</\1>", "", shown, flags=re.DOTALL)
    assert not re.search(r"\*\*|```|\]\(|^\|", words, re.MULTILINE), re.search(r".{40}(\*\*|```|\]\().{20}", words)
