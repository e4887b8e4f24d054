"""``redshank mark``."""


def test_an_incident_is_marked_and_the_mark_taken_back(redshank, readings):
    (found,) = redshank("replay", readings, "--json").json["incidents"][:1]
    marked = redshank("mark", found["id"], "expected", "--json")
    assert marked.json["feedback"] == "expected"
    told = redshank("mark", found["id"], "nothing")
    assert told.status == 0
    assert "marked as nothing" in told.out
    assert redshank("mark", "unknown", "real").status == 1
    assert redshank("mark", found["id"], "perhaps").status == 2
