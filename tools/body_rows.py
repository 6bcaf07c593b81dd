# SPDX-License-Identifier: Apache-2.0
"""What rows of syscalls.tbl say about the body's filter: body=, and the lines "often NAME ..." for their order. Writes
them as calls to the builder of libom/restore/filter.cc, with the constants of libom/abi/sandbox.h. Part of
gen_syscalls.py; docs/ADD_A_SYSCALL.md, "What a body may ask the other node's kernel for", explains it."""
import re

RULE = re.compile(r"allow\((int )?(\w+)(?:&~(\w+))? (?:(in|not) (\w+)|from (\w+) to (\w+))\)$")

HEAD = """#pragma once

#include "libom/abi/gen/syscalls_desc.h"
#include "libom/abi/sandbox.h"

namespace om {

// What a body may ask the other node's kernel for, the frequent calls first. Everything else ends it.
template <class Filter>
inline void add_body_rules(Filter& filter) {
"""


def rule(row, text, errors):
    """The line that adds the row's rule; None if there is none."""
    if text == "none":
        return None
    if text == "allow":
        return f"filter.allow(kNr_{row.ident});"
    m = RULE.match(text)
    if not m:
        errors.add(row.where, f"cannot read 'body={text}': allow, none, allow(arg in LIST), "
                              "allow(int arg[&~BITS] in LIST), allow(int arg not N) or "
                              "allow(arg from BITS to BITS)")
        return None
    low, name, ignored, how, values, least, most = m.groups()
    names = [a.name for a in row.args]
    if name not in names:
        errors.add(row.where, f"body: no argument is called '{name}'")
        return None
    index = names.index(name)
    if bool(low) != (how == "not") and how != "in" or ignored and not (low and how == "in"):
        errors.add(row.where, f"body: 'int' goes with in and with not, '&~' with 'int ... in': '{text}'")
        return None
    head = f"kNr_{row.ident}, {index}"
    if how == "not":
        return f"filter.allow_but({head}, {values});"
    if how == "in" and low:
        return f"filter.allow_command({head}, {ignored or 0}, {values});"
    if how == "in":
        return f"filter.allow_if({head}, {values});"
    return f"filter.allow_flags({head}, {least}, {most});"


def read_rows(rows, often, errors):
    """The rules in order. `often`: (where, name) of the calls that come first."""
    rules = {}
    for row in rows:
        said = [value for key, value, _ in row.waiting if key == "body"]
        if row.route == "local" and not said:
            errors.add(row.where, "route local needs body=allow, body=allow(...) or body=none")
        if said:
            text = rule(row, said[0], errors)
            if text:
                rules[row.name] = text
    first = []
    for where, name in often:
        if name not in rules:
            errors.add(where, f"often: the row of '{name}' has no body=allow")
        elif name in first:
            errors.add(where, f"often: '{name}' stands here twice")
        else:
            first.append(name)
    return [rules[name] for name in first + [r.name for r in rows if r.name in rules and
                                             r.name not in first]]


def write(head, rules):
    return head + HEAD + "".join(f"  {r}\n" for r in rules) + "}\n\n}  // namespace om\n"
