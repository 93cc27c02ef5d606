from kerasvid.naming import nearest_names


def test_a_near_name_is_proposed_before_the_list():
    assert nearest_names("rjvea", ["rjvae", "dsa"]) == "did you mean 'rjvae'? Known: dsa, rjvae"


def test_capitals_do_not_hide_a_name():
    assert nearest_names("RJVAE", ["rjvae", "dsa"]).startswith("did you mean 'rjvae'?")


def test_a_name_unlike_all_gets_the_list_alone():
    assert nearest_names("qqqq", ["rjvae", "dsa"]) == "nothing is near. Known: dsa, rjvae"
