"""What the demo model says."""

INTRODUCTION = """\
Hello! I am the **demo model**: a small script inside this server, not a language model, because no key is set.

To talk to a real one, put this into `.env` (or the environment) and start the server again:

```ini
OPENAI_API_KEY=sk-...
# or any OpenAI-compatible server, for example Ollama; it needs no key
OPENAI_BASE_URL=http://localhost:11434/v1
OPENAI_MODEL=llama3.2
```

Until then you can try everything else here with me.

"""

OFFERS = """\
I react to these words:

- **essay**: a long answer, to type ahead of or to stop
- **python** or **chart**: asks for your approval to run code
- **time**: calls a tool that needs no approval
- **note**: saves a note, if that tool is there
- **think**: thinks before it answers
- **table** or **markdown**: shows what the page can draw
"""

SHOWCASE = """\
## What markdown can do

Text can be **bold**, *italic*, ~~struck out~~ or `code`, and it can [link](https://www.markdownguide.org).

| Word | What it shows | Needs approval |
|:-----|:--------------|:--------------:|
| essay | a long answer | no |
| python | code and its output | yes |
| time | a tool call | no |

1. First things first
2. Second things second
   - with a nested point
   - and another

> A quotation, for when somebody else said it better.

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"
```

### And a rule

---

That was the demo model's showcase.
"""

THOUGHTS = """\
The person wants to see me think. I am a script, so this is not real reasoning, only text that arrives as reasoning \
does. First I look at what was asked. Then I consider what I can do, which is little. Then I decide to say so \
honestly.\
"""

AFTER_THINKING = "I have thought about it. As a **demo model** I conclude that thinking arrives apart from the answer."

PYTHON = """\
squares = [n * n for n in range(1, 11)]
print("The first ten squares:", squares)
print("Their sum:", sum(squares))
"""

CHART = """\
import math
import matplotlib.pyplot as plt

x = [n / 10 for n in range(101)]
plt.plot(x, [math.sin(n) for n in x], label="sin")
plt.plot(x, [math.cos(n) for n in x], label="cos")
plt.title("Sine and cosine")
plt.legend()
plt.show()
"""

CSV_CHART = """\
import matplotlib.pyplot as plt
import pandas as pd

data = pd.read_csv({file!r})
print(data.describe())
data.select_dtypes("number").plot(title={file!r})
plt.show()
"""

ESSAY_OPENING = """\
# An essay about {topic}

*The demo model writes this. It is long so that you can type ahead or press Stop, and it says little.*

"""

ESSAY_ASPECTS = """\
beginnings places people tools habits colours weather sounds numbers names rules mistakes journeys mornings
evenings money letters maps games silence children machines gardens rivers words doors windows bread light memory
chance patience friends strangers stories endings
"""

ESSAY_SECTION = """\
## {number}. {topic_title} and {aspect}

Whoever asks about {topic} will sooner or later ask about {aspect}. The two seem to have little in common, and yet \
a look at the one changes the look of the other. There is no {topic} without {aspect} somewhere in the picture, \
even if it stands far at the back, half hidden, where only a patient eye will find it. Some say that this is an \
accident. Others have spent long afternoons collecting examples, and their notebooks are full.

Consider an ordinary day. Somebody thinks of {topic}, puts the thought aside, and meets {aspect} on the way home. \
Nothing has happened, and still something has been understood. It is a small step from there to the general \
question: what would {aspect} be, had nobody ever heard of {topic}? The answer of this essay is cautious. Probably \
much the same, but told in another order, and with fewer pauses to look up and wonder what comes next.

"""
