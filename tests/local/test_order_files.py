"""Files of orders: what is read of a line, what is said of a broken one, and what is kept of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.chassis.faults import Fault
from services.local import order_files
from services.local.order_files import OrderFileError, Result, Results, fingerprint

KEY = "aq_partner_of_the_test"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def codes(path: Path) -> dict[int, list[str]]:
    """What is wrong with each line."""
    return {line.number: [each["code"] for each in line.faults] for line in order_files.read(path).lines}


def taken(path: Path, number: int) -> Result:
    line = order_files.read(path).lines[number]
    held = Fault(pointer="/quote", code="price.change", detail='expected "11.00 EUR", given 5.00 EUR')
    return Result(line.number, line.reference, f"order-{number}", "held", (held,), fingerprint(line, KEY))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_row_becomes_an_order_whose_empty_cells_are_no_fields(tmp_path: Path, delimiter: str) -> None:
    names = ["partner_reference", "customer.id", "quote.monthly_total.amount", "quote.promotion.months", "removals"]
    rows = [names, ["LC-1", "cust-1", "8100", "", "tv decoder"], ["LC-2", "", "81.00", "6", ""]]
    text = "\ufeff" + "\r\n".join(delimiter.join(row) for row in rows)
    first, second = order_files.read(written(tmp_path, "orders.csv", text)).lines
    assert (first.number, first.body) == (
        2,
        {
            "partner_reference": "LC-1",
            "customer": {"id": "cust-1"},
            "quote": {"monthly_total": {"amount": 8100}},
            "removals": ["tv", "decoder"],
        },
    )
    quote = {"monthly_total": {"amount": "81.00"}, "promotion": {"months": 6}}  # the door says what is wrong with 81.00
    assert (second.number, second.body) == (3, {"partner_reference": "LC-2", "quote": quote})


def test_an_unclosed_quote_a_missing_cell_and_foreign_letters_spoil_only_their_own_lines(tmp_path: Path) -> None:
    rows = [b"partner_reference,customer.name", b'LC-1,"open', b"LC-2", b"LC-3,Val\xe9rie", b",", b"", b"LC-4,Val"]
    found = codes(written(tmp_path, "orders.csv", b"\n".join(rows)))
    assert found == {2: ["csv.invalid"], 3: ["csv.cells"], 4: ["line.encoding"], 7: []}


def test_a_line_that_is_no_json_object_spoils_only_itself(tmp_path: Path) -> None:
    lines = ['{"partner_reference": "LC-1"}', "", "[1]", "{", "[" * 100_000, '{"partner_reference": "LC-2"}']
    found = codes(written(tmp_path, "orders.ndjson", "\n".join(lines)))
    assert found == {1: [], 3: ["json.invalid"], 4: ["json.invalid"], 5: ["json.invalid"], 6: []}


def test_a_reference_that_stands_there_twice_is_sent_once(tmp_path: Path) -> None:
    lines = ['{"partner_reference": "LC-1"}', '{"partner_reference": "LC-1", "offer": "DUO"}', "{}", "{}"]
    path = written(tmp_path, "orders.ndjson", "\n".join(lines))
    assert codes(path) == {1: [], 2: ["partner-reference.twice"], 3: [], 4: []}
    assert order_files.read(path).lines[1].faults[0]["detail"] == "line 1 has the same partner_reference"


def test_the_same_order_is_the_same_bytes_however_it_is_written(tmp_path: Path) -> None:
    lines = ['{"partner_reference": "LC-1", "offer": "DUO"}', '{ "offer":"DUO","partner_reference":"LC-1" }']
    first, second = order_files.read(written(tmp_path, "orders.ndjson", "\n".join(lines))).lines
    assert first.content() == second.content()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("orders.xlsx", "", "orders are read from .csv or .ndjson"),
        ("orders.csv", "", "partner_reference is one of them"),
        ("orders.csv", "reference\nLC-1\n", "partner_reference is one of them"),
        ("orders.csv", "partner_reference,offer,offer\n", "stands there twice: offer"),
        ("orders.csv", "partner_reference,customer,customer.id\n", "stands there twice: customer"),
        ("orders.csv", b"partner_reference,\xff\n", ":1: this is not UTF-8"),
    ],
)
def test_a_file_without_orders_says_why(tmp_path: Path, name: str, content: str | bytes, says: str) -> None:
    with pytest.raises(OrderFileError) as raised:
        order_files.read(written(tmp_path, name, content))
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("orders.csv", "partner_reference;offer\nLC-1;DUO\nLC-2;DUO\nLC-3;DUO\n"),
        ("orders.ndjson", "".join(f'{{"partner_reference": "LC-{each}"}}\n' for each in (1, 2, 3))),
    ],
)
def test_results_outlive_an_interruption_and_end_in_the_order_of_the_lines(
    tmp_path: Path, name: str, content: str
) -> None:
    orders = order_files.read(path := written(tmp_path, name, content))
    results = Results(orders)
    results.begin(iter(()))
    for number in (2, 0):
        results.keep(taken(path, number))
    cut = orders.results.read_text("utf-8")
    orders.results.write_text(cut + cut.splitlines()[-1][:20], "utf-8")  # killed while it wrote

    again = Results(orders)
    known = [line.number for line in orders.lines if again.taken(line, KEY)]
    assert [number - orders.lines[0].number for number in known] == [0, 2]
    again.begin(iter(known))
    again.keep(taken(path, 1))
    again.put_in_order()
    told = orders.results.read_text("utf-8").splitlines()[-3:]
    assert [f"order-{number}" in text for number, text in enumerate(told)] == [True, True, True]
    assert all("price.change" in text for text in told)


def test_a_line_that_changed_or_has_another_key_is_sent_again(tmp_path: Path) -> None:
    orders = order_files.read(path := written(tmp_path, "orders.ndjson", '{"partner_reference": "LC-1"}\n'))
    Results(orders).keep(taken(path, 0))
    results, line = Results(orders), orders.lines[0]
    assert results.taken(line, KEY) is not None
    assert results.taken(line, "another key: another partner, or a stack that was made anew") is None
    other = order_files.read(written(tmp_path, "orders.ndjson", '{"partner_reference": "LC-1", "offer": "DUO"}\n'))
    assert results.taken(other.lines[0], KEY) is None


def test_a_refused_line_is_sent_again(tmp_path: Path) -> None:
    orders = order_files.read(written(tmp_path, "orders.ndjson", "{}\n"))
    fault = Fault(pointer="", code="request.invalid", detail="…")
    results = Results(orders)
    results.keep(Result(1, "", None, None, (fault,), fingerprint(orders.lines[0], KEY)))
    assert Results(orders).taken(orders.lines[0], KEY) is None
    told = json.loads(orders.results.read_text("utf-8"))
    assert (told["line"], told["order_id"], told["faults"]) == (1, None, [dict(fault)])


def test_a_result_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    orders = order_files.read(written(tmp_path, "orders.ndjson", "{}\n"))
    orders.results.write_text("my own notes\n")
    with pytest.raises(OrderFileError, match="is not what this command writes"):
        Results(orders)
    assert orders.results.read_text() == "my own notes\n"
