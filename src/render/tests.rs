//! What templates make of tokens, and what their errors say and keep to themselves.

use jiff::SignedDuration;

use super::*;
use crate::rotation::Validity;

/// `{"sub":"canary-sub","aud":["a","b"]}` between a header and a signature that nobody looks at.
const JWT: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnktc3ViIiwiYXVkIjpbImEiLCJiIl19.c2ln";

fn rotation() -> RotationName {
    RotationName::parse("voice").unwrap()
}

fn bearer_with(access_token: &str, response: Option<&str>) -> MintedToken {
    let issued_at = "2026-11-24T12:00:00.123456789Z".parse().unwrap();
    MintedToken {
        material: Material::Bearer {
            access_token: SecretText::new(access_token),
            token_type: "Bearer".into(),
            response: response.map(SecretText::new),
        },
        validity: Validity::new(issued_at, SignedDuration::new(3600, 999_999_999)),
    }
}

fn bearer(access_token: &str) -> MintedToken {
    bearer_with(access_token, None)
}

fn basic(username: &str, password: &str) -> MintedToken {
    let material =
        Material::Basic { username: SecretText::new(username), password: SecretText::new(password) };
    MintedToken { material, validity: None }
}

fn templates(keys: &[(&str, Option<&str>)]) -> Result<Templates, RenderError> {
    Templates::new(&keys.iter().map(|(key, t)| ((*key).to_owned(), t.map(str::to_owned))).collect())
}

fn rendered(keys: &[(&str, Option<&str>)], token: &MintedToken) -> Result<Content, RenderError> {
    templates(keys)?.render(&rotation(), token)
}

/// What the template makes as the only further key.
fn one(template: &str, token: &MintedToken) -> Result<String, RenderError> {
    let content = rendered(&[("k", Some(template))], token)?;
    Ok(String::from_utf8(content.expose("k").unwrap().to_vec()).unwrap())
}

fn shown(content: &Content) -> Vec<(&str, &str)> {
    content.expose_all().map(|(key, bytes)| (key, std::str::from_utf8(bytes).unwrap())).collect()
}

#[test]
fn a_bearer_token_has_four_keys_and_its_expiry_is_cut_to_whole_seconds() {
    let content = rendered(&[], &bearer("abc")).unwrap();
    let expected = [
        ("access_token", "abc"),
        ("authorization", "Bearer abc"),
        ("expires_at", "2026-11-24T13:00:01Z"), // 13:00:01.123456788 in full
        ("token_type", "Bearer"),
    ];
    assert_eq!(shown(&content), expected);
}

#[test]
fn basic_credentials_have_three_keys_and_their_header_is_utf_8() {
    let content = rendered(&[], &basic("jdoe", "pä:ss")).unwrap();
    let expected = [("authorization", "Basic amRvZTpww6Q6c3M="), ("password", "pä:ss"), ("username", "jdoe")];
    assert_eq!(shown(&content), expected);
}

#[test]
fn null_leaves_a_default_key_out_and_a_template_overrides_one() {
    let keys =
        [("access_token", None), ("expires_at", None), ("token_type", Some("{{ token_type | lower }}"))];
    let content = rendered(&keys, &bearer("abc")).unwrap();
    assert_eq!(shown(&content), [("authorization", "Bearer abc"), ("token_type", "bearer")]);
}

#[test]
fn templates_make_what_consumers_read() {
    let hard = "a\"b\\c/%+:ä€</script>";
    let response =
        r#"{"access_token": "abc", "instance_url": "https://eu.example", "expires_in": 3600, "n": null}"#;
    for (case, template, token, expected) in [
        ("JSON keeps what is hard in it", "{\"token\": {{ access_token | tojson }}}", bearer(hard), None),
        ("plain text stays as it is", "T={{ access_token }}", bearer(hard), Some(&*format!("T={hard}"))),
        ("the newline at the end stays", "{{ authorization }}\n", bearer("abc"), Some("Bearer abc\n")),
        (
            "netrc",
            "machine x login {{ username }} password {{ password }}",
            basic("u", "p"),
            Some("machine x login u password p"),
        ),
        (
            "a Basic token type",
            "{{ token_type }} {{ authorization }}",
            basic("u", "p"),
            Some("Basic Basic dTpw"),
        ),
        (
            "both instants",
            "{{ issued_at }}/{{ expires_at }}",
            bearer("abc"),
            Some("2026-11-24T12:00:00Z/2026-11-24T13:00:01Z"),
        ),
        ("the rotation's name", "{{ rotation }}", bearer("abc"), Some("voice")),
        (
            "a claim of a JWT",
            "{{ claims.sub }} {{ claims.aud | join(',') }}",
            bearer(JWT),
            Some("canary-sub a,b"),
        ),
        (
            "an opaque token has no claims",
            "{{ 'jwt' if claims is defined else 'opaque' }}",
            bearer("a.b"),
            Some("opaque"),
        ),
        ("three parts do not make a JWT", "{{ claims is defined }}", bearer("a.b.c"), Some("False")),
        (
            "a field of the response",
            "{{ response.instance_url }}",
            bearer_with("abc", Some(response)),
            Some("https://eu.example"),
        ),
        (
            "a number of the response",
            "{{ response.expires_in + 1 }}",
            bearer_with("abc", Some(response)),
            Some("3601"),
        ),
        (
            "a default for what is absent",
            "{{ response.scope | default('none') }}",
            bearer_with("abc", Some(response)),
            Some("none"),
        ),
        ("nothing at all", "", bearer("abc"), Some("")),
    ] {
        let text = one(template, &token).unwrap_or_else(|error| panic!("{case}: {error}"));
        if let Some(expected) = expected {
            assert_eq!(text, expected, "{case}");
        } else {
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["token"], hard, "{case}");
        }
    }
}

#[test]
fn a_mistake_in_keys_is_found_before_there_is_a_token() {
    for (case, key, template, code, says) in [
        (
            "no syntax",
            "k",
            Some("a\n{{ access_token"),
            "template_syntax",
            "key `k` does not parse: look at line 2",
        ),
        (
            "an unknown variable",
            "k",
            Some("{{ acces_token }}"),
            "template_undefined",
            "key `k` uses `acces_token`",
        ),
        (
            "an unknown variable behind a condition",
            "k",
            Some("{% if rotation == 'x' %}{{ nope }}{% endif %}"),
            "template_undefined",
            "`nope`",
        ),
        ("nothing to leave out", "token", None, "key_invalid", "`token` is null"),
        ("a path", "a/b", Some(""), "key_invalid", "letters, digits"),
        ("a key that would hide", "..data", Some(""), "key_invalid", "`..`"),
        ("our receipt in a folder", ".receipt.json", Some(""), "key_invalid", "uses this name itself"),
        ("our receipt in Vault", "everbearer_receipt", Some(""), "key_invalid", "uses this name itself"),
        ("no name", "", Some(""), "key_invalid", "1 to 253"),
        ("another file", "k", Some("{% include '/etc/passwd' %}"), "template_syntax", "line 1"),
    ] {
        let error = templates(&[(key, template)]).expect_err(case);
        assert_eq!(error.code(), code, "{case}");
        assert!(error.to_string().contains(says), "{case}: {error}");
    }
}

#[test]
fn loops_and_assignments_define_variables_of_their_own() {
    let template = "{% set x = 2 %}{% for i in range(x) %}{{ i }}{{ loop.index }}{% endfor %}";
    assert_eq!(one(template, &bearer("abc")).unwrap(), "0112");
}

#[test]
fn an_error_while_rendering_names_key_and_line_and_never_a_value() {
    let token = bearer_with(JWT, Some(r#"{"note": "canary-note", "number": 7777777}"#));
    for (case, template, code, says) in [
        (
            "a field that is not there",
            "\n{{ response.nope }}",
            "template_undefined",
            "key `k` uses a value that this token does not have (line 2)",
        ),
        ("a variable of another kind of token", "{{ username }}", "template_undefined", "key `k`"),
        (
            "a condition on what is not there",
            "{% if password %}x{% endif %}",
            "template_undefined",
            "key `k`",
        ),
        ("a sum of texts and numbers", "{{ claims.sub + 1 }}", "template_failed", "key `k` fails on line 1"),
        ("a number too large", "{{ response.number ** 999 }}", "template_failed", "key `k`"),
        ("a number made of a text", "{{ response.note | int }}", "template_failed", "key `k`"),
        ("a method that is not there", "{{ response.note.nope() }}", "template_failed", "key `k`"),
        ("a filter that is not there", "{{ response.note | nope }}", "template_failed", "key `k`"),
        (
            "a value as a filter's option",
            "{{ 1 | tojson(indent=response.note) }}",
            "template_failed",
            "key `k`",
        ),
        (
            "work without end",
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "template_too_large",
            "too much work",
        ),
        ("a huge text", "{{ access_token * 999999999 }}", "template_too_large", "key `k`"),
        ("a large output", "{{ 'x' * 600000 }}", "template_too_large", "more than 524288 bytes"),
    ] {
        let error = one(template, &token).expect_err(case);
        let text = format!("{error} {error:?}");
        assert_eq!(error.code(), code, "{case}: {text}");
        assert!(text.contains(says), "{case}: {text}");
        assert!(!["canary", "7777777", JWT].iter().any(|value| text.contains(value)), "{case}: {text}");
    }
}

#[test]
fn debug_shows_names_and_no_template() {
    let shown = format!("{:?}", templates(&[("k", Some("canary {{ access_token }}"))]).unwrap());
    assert_eq!(shown, r#"{"k"}"#);
}

#[test]
fn the_digest_changes_with_what_is_rendered_only() {
    let digest = |keys: &[(&str, Option<&str>)]| templates(keys).unwrap().digest();
    assert_eq!(
        digest(&[]).to_string(),
        "34923448a9ee52e1b5abce8afaace5a7",
        "released: an upgrade serves nothing again"
    );
    assert_eq!(digest(&[("a", Some("1")), ("b", Some("2"))]), digest(&[("b", Some("2")), ("a", Some("1"))]));
    let different = [
        digest(&[]),
        digest(&[("username", None)]),
        digest(&[("username", Some(""))]),
        digest(&[("username", Some("a"))]),
        digest(&[("password", Some("a"))]),
        digest(&[("a", Some("template")), ("b", Some(""))]),
        digest(&[("a", Some("templateb"))]),
    ];
    for (i, one) in different.iter().enumerate() {
        assert!(different[i + 1..].iter().all(|other| one != other), "{i}");
    }
}

#[test]
fn a_token_is_read_again_from_its_own_content() {
    let content = rendered(&[("more", Some("{{ rotation }}"))], &bearer("abc")).unwrap();
    let Some(Material::Bearer { access_token, token_type, response }) = reread(&content) else {
        panic!("not read")
    };
    assert_eq!((access_token.expose(), &*token_type, response), ("abc", "Bearer", None));

    let content = rendered(&[], &basic("jdoe", "a:b")).unwrap();
    let Some(Material::Basic { username, password }) = reread(&content) else { panic!("not read") };
    assert_eq!((username.expose(), password.expose()), ("jdoe", "a:b"));
}

#[test]
fn a_content_that_contradicts_itself_is_not_read_again() {
    for (case, keys) in [
        ("the token left out", &[("access_token", None)][..]),
        ("the header left out", &[("authorization", None)]),
        ("the type left out", &[("token_type", None)]),
        ("another token", &[("access_token", Some("{{ access_token | upper }}"))]),
        ("another header", &[("authorization", Some("X {{ access_token }}"))]),
        ("an empty token", &[("access_token", Some("")), ("authorization", Some("Bearer "))]),
    ] {
        assert!(reread(&rendered(keys, &bearer("abc")).unwrap()).is_none(), "{case}");
    }
    let keys = [("password", Some("other"))];
    assert!(reread(&rendered(&keys, &basic("jdoe", "p")).unwrap()).is_none(), "another password");
    assert!(reread(&Content::new([("authorization", SecretText::new("Bearer abc"))])).is_none());
}
