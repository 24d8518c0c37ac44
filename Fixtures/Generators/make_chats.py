#!/usr/bin/env python3
"""Chat templates of the common forms, and what transformers renders conversations to.

    pip install transformers==5.24.0 jinja2
    python3 Generators/make_chats.py chats.json

Written to the file: conversations, and for each template its text, its tokens and, a conversation each, the rendering with
and without the opening of the assistant's turn; null where the template raises. The day is 4 July 2026. Bit-identical on
rerun. The templates are written for this purpose, in the manner of those that models ship."""
import datetime
import json
import sys

import transformers.utils.chat_template_utils as chat

class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None): return cls(2026, 7, 4)
chat.datetime = Day

CHATML = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

CHATML_DEFAULT = """{% for message in messages %}
    {% if loop.first and message.role != 'system' %}
{{- '<|im_start|>system\\nYou answer in few words.<|im_end|>\\n' }}
    {%- endif %}
    {#- a turn #}
{{ '<|im_start|>' ~ message.role ~ '\\n' ~ message.content | trim ~ '<|im_end|>\\n' }}
{%- endfor %}

{% if add_generation_prompt is defined and add_generation_prompt -%}
    {{ "<|im_start|>assistant\\n" -}}
{% endif %}
"""

CHATML_TOOLS = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}{{- tool | tojson }}{%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are of help.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(last_user=-1, count=0) %}
{%- for message in messages[::1] if message.role == "user" %}{% set ns.count = ns.count + 1 %}{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
        {%- if '</think>' in content %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- for call in message.tool_calls %}{{- call.function.arguments | tojson }}{%- endfor %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
""".replace("messages[::1]", "messages")

LLAMA3 = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"

LLAMA3_DATE = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "1 Jan 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{#- the system message is taken out first #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}{{- raise_exception("one call at a time") }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

GEMMA = "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"

GEMMA_PREFIX = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("turns must alternate") }}
    {%- endif -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}{{ item['text'] | trim }}{%- endfor -%}
    {%- else -%}
        {{ raise_exception("no such content") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
"""

MISTRAL = "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns must alternate') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}"

MISTRAL_SYSTEM = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("turns must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("only user, assistant and system") }}
    {%- endif %}
{%- endfor %}
"""

INST_SYS = "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"

# Odd corners of the language
SPACE = "  {% if true %}\n  a {%- if true %} b{% endif -%}  \n c\n{#- gone -#}  d {{ 'e' }}\n{{- ' f' }}\n\t{% set x %}[{{ 1 + 2 * 3 - 10 % 4 }}]{% endset %}\n{{ x }}{{ x | length }}\r\n{%+ if false %}never{% else %}g{% endif %}\n{% endif %}\n  \n"
WORDS = """{% set ns = namespace(n=0) %}{% for m in messages if m.role != 'system' %}{% set ns.n = ns.n + 1 %}{{ loop.index }}/{{ loop.length }}{{ ' last' if loop.last }}{{ loop.previtem.role if loop.previtem is defined else '-' }}
{% else %}none
{% endfor %}{{ ns.n }} {{ not ns.n == 1 }} {{ ns.n > 1 and 'many' or 'few' }} {{ none }} {{ true }} {{ nothing }} {{ nothing is defined }} {{ 'a' in 'abc' }} {{ 'x' not in ['x', "y"] }} {{ -3 % 5 }} {{ 7 - -2 }}
{{ messages[-1]['content'][:3] }}{{ messages[-1].content[-2:] }}{{ messages | length }}{{ (messages | last).role }}{{ ['a' 'b'][0] }}{{ {'k': 'v'}['k'] }}{{ {'k': 'v'}.get('z', 'w') }}{{ 'x'.upper() + 'Y'.lower() }}
{{ 'a-b-c'.split('-')[1] }}{{ ' q '.strip() }}{{ 'aXbX'.replace('X', '') }}{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith('ab') }}{{ nothing | default('d') }}{{ 3 ~ 'x' ~ none }}{{ 'xxyxx'.rstrip('x') }}{{ bos_token is none }}{{ 1 == true }}{{ 'it\\'s' }}
{% for k, v in {'a': 1, 'b': 'x'}.items() %}{{ k }}={{ v }};{% endfor %}{% for m in messages[::-1] %}{{ m.role[::-1] }}{{ loop.index0 }}{% endfor %}
"""

TEMPLATES = dict(chatml=CHATML, chatml_default=CHATML_DEFAULT, chatml_tools=CHATML_TOOLS, llama3=LLAMA3, llama3_date=LLAMA3_DATE, gemma=GEMMA, gemma_prefix=GEMMA_PREFIX, mistral=MISTRAL,
                 mistral_system=MISTRAL_SYSTEM, inst_sys=INST_SYS, space=SPACE, words=WORDS)
CONVERSATIONS = [
    [("user", "What is the key?")], [("system", "Be brief. "), ("user", " Which key\nis it? ")], [("user", "Hi"), ("assistant", " Hello.\n"), ("user", "\u00e9 \U0001f600 {{ no }} {% tag %} 'q' \"d\" \\n")],
    [("system", "Be brief."), ("user", "Hi"), ("assistant", "<think>a</think>\n\nHello."), ("user", "And now?")], [("user", "One"), ("user", "two")], [("assistant", "I begin.")], [("user", "Hi"), ("assistant", "Hello.")], [("user", "")], [("system", "")]]

def render(template, conversation, opening):
    messages = [{"role": r, "content": c} for r, c in conversation]
    try:
        texts, _ = chat.render_jinja_template(conversations=[messages], chat_template=template, add_generation_prompt=opening, bos_token="<s>", eos_token="</s>")
        return texts[0]
    except Exception as error:
        print(repr(error)[:100], file=sys.stderr)
        return None

def main(path):
    result = {"tokens": {"bos_token": "<s>", "eos_token": "</s>"}, "conversations": [[{"role": r, "content": c} for r, c in x] for x in CONVERSATIONS], "templates": []}
    for name, template in TEMPLATES.items():
        result["templates"].append({"name": name, "template": template, "opened": [render(template, c, True) for c in CONVERSATIONS], "closed": [render(template, c, False) for c in CONVERSATIONS]})
    with open(path, "w", encoding="utf-8") as f:
        json.dump(result, f, ensure_ascii=False, indent=1)
        f.write("\n")

main(sys.argv[1])
