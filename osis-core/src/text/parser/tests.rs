//! Every rule of the search language, and every error with its columns.

use proptest::prelude::*;

use super::super::sample::{app, row};
use super::super::{Document, Query, Term};
use crate::error::ErrorKind;

/// A compact form of a query's tree: `&(must; not)`, `|(sides)`, `bare`, `"quoted"`, `prefix*`,
/// `field:`; other than the search language, it shows nesting as it is.
fn tree(query: &Query) -> String {
    let all = |parts: &[Query]| parts.iter().map(tree).collect::<Vec<_>>().join(" ");
    match query {
        Query::And { must, not } if not.is_empty() => format!("&({})", all(must)),
        Query::And { must, not } => format!("&({}; {})", all(must), all(not)),
        Query::Or(sides) => format!("|({})", all(sides)),
        Query::Term(Term {
            words,
            prefix,
            field,
            bare,
        }) => {
            let field = field.map_or(String::new(), |f| format!("{}:", app().fields[f].name));
            let quote = if *bare { "" } else { "'" };
            format!(
                "{field}{quote}{}{quote}{}",
                words.join("_"),
                if *prefix { "*" } else { "" }
            )
        }
    }
}

fn parse(text: &str) -> String {
    tree(&Query::parse(&app(), text, false).unwrap_or_else(|error| panic!("{text:?}: {error}")))
}

fn typed(text: &str) -> String {
    tree(&Query::parse(&app(), text, true).unwrap_or_else(|error| panic!("{text:?}: {error}")))
}

/// The columns of the faults, and their messages.
fn faults(text: &str) -> (Vec<usize>, Vec<String>) {
    let error = Query::parse(&app(), text, false).expect_err(text);
    let ErrorKind::Invalid(faults) = error.kind() else {
        panic!("{error:?}")
    };
    assert!(
        faults.iter().all(|fault| fault.path == "query"),
        "{faults:?}"
    );
    let columns = faults.iter().filter_map(|fault| fault.column).collect();
    (
        columns,
        faults.iter().map(|fault| fault.message.clone()).collect(),
    )
}

#[test]
fn reads_what_the_language_has() {
    let rows = [
        // Words, and how they stand together.
        ("photo", "photo"),
        ("photo editor", "&(photo editor)"),
        ("photo AND editor", "&(photo editor)"),
        ("photo and editor", "&(photo and editor)"),
        ("a b OR c", "|(&(a b) c)"),
        ("a OR b c", "|(a &(b c))"),
        ("a AND b OR c AND d", "|(&(a b) &(c d))"),
        ("a OR b OR c", "|(a b c)"),
        ("a or b Or c", "&(a or b or c)"),
        ("Café ИСКРА", "&(cafe искра)"),
        // Parentheses.
        ("(a)", "a"),
        ("((a b))", "&(a b)"),
        ("a (b OR c) d", "&(a |(b c) d)"),
        ("(a b) c", "&(a b c)"),
        ("a OR (b OR c)", "|(a b c)"),
        ("func(x)", "&(func x)"),
        ("(a)OR(b)", "|(a b)"),
        ("f(a OR b)g", "&(f |(a b) g)"),
        // Exclusions.
        ("a -paid", "&(a; paid)"),
        ("a NOT paid", "&(a; paid)"),
        ("-paid a", "&(a; paid)"),
        ("NOT a b", "&(b; a)"),
        ("a AND NOT b", "&(a; b)"),
        ("a -(b c)", "&(a; &(b c))"),
        ("a -(b -c) -(d OR e)", "&(a; &(b; c) |(d e))"),
        ("(a -b) (c -d)", "&(a c; b d)"),
        ("a -b OR c -d", "|(&(a; b) &(c; d))"),
        ("a -\"b c\" -b-c -name:d", "&(a; 'b_c' 'b_c' name:d)"),
        ("a --b", "&(a b)"),
        ("a NOT NOT b", "&(a b)"),
        ("a NOT -b", "&(a b)"),
        ("a ---b", "&(a; b)"),
        ("a -OR", "&(a; or)"),
        // Phrases.
        ("\"photo editor\"", "'photo_editor'"),
        ("\"photo\"", "'photo'"),
        ("\"a OR -b (c) name:d e*\"", "'a_or_b_c_name_d_e'"),
        ("a\"b\"c", "&(a 'b' c)"),
        ("photo-editor", "'photo_editor'"),
        ("org.example.notes", "'org_example_notes'"),
        ("漢字かな", "'漢_字_か_な'"),
        ("漢", "漢"),
        ("o'neil don’t", "&('o_neil' 'don_t')"),
        ("½", "'1_2'"),
        // Prefixes.
        ("edit*", "'edit'*"),
        ("ed* x", "&('ed'* x)"),
        ("foo-bar*", "'foo_bar'*"),
        ("foo-b*", "'foo_b'*"),
        ("\"foo b\"*", "'foo_b'*"),
        ("\"foo\"*", "'foo'*"),
        ("\"foo\"* bar \"x y\"*", "&('foo'* bar 'x_y'*)"),
        ("foo**", "'foo'*"),
        ("foo*bar", "'foo_bar'"),
        ("*foo", "foo"),
        ("foo *", "foo"),
        ("ß*", "'ss'*"),
        ("ﬁ*", "'fi'*"),
        ("漢字*", "'漢_字'*"),
        ("a -edit*", "&(a; 'edit'*)"),
        // Fields.
        ("name:foto", "name:foto"),
        ("name:foto bar", "&(name:foto bar)"),
        ("name:\"a b\"", "name:'a_b'"),
        ("name:(a OR b)", "|(name:a name:b)"),
        ("name:(a tags:b \"c d\") e", "&(name:a tags:b name:'c_d' e)"),
        (
            "name:(a (b OR tags:(c d)))",
            "&(name:a |(name:b &(tags:c tags:d)))",
        ),
        ("name:fo*", "name:'fo'*"),
        ("name:foo(bar)", "&(name:foo bar)"),
        ("name:-a", "name:a"),
        ("name:OR", "name:or"),
        ("name:about:x", "name:'about_x'"),
        ("name: foto", "name:foto"),
        (
            "name: \"a b\" name: (c OR d)",
            "&(name:'a_b' |(name:c name:d))",
        ),
        ("(name:a)OR(tags:b)", "|(name:a tags:b)"),
        ("A:b Notes: c", "&('a_b' notes c)"),
        ("12:30 x", "&('12_30' x)"),
        ("foo-bar:baz", "'foo_bar_baz'"),
        ("a (name):b", "&(a name b)"),
        // What is left out.
        ("a + b", "&(a b)"),
        ("a & b | c", "&(a b c)"),
        ("photo - editor", "&(photo editor)"),
        ("a \"\" \"+\"", "a"),
        ("a -+ -\"\"", "a"),
        ("c++ c#", "&(c c)"),
        ("😀 a", "a"),
        ("a name:+ name:", "a"),
        ("(a name:) OR b", "|(a b)"),
        ("a AND", "a"),
        ("AND a", "a"),
        ("a AND AND b", "&(a b)"),
        ("a NOT", "a"),
        ("(a NOT) b", "&(a b)"),
        ("a name: -b", "&(a; b)"),
        ("NOT + a", "a"),
        // A tilde that is not behind a word.
        ("~foo", "foo"),
        ("a ~ b", "&(a b)"),
        ("x/~user", "'x_user'"),
        ("\"foo~\"", "'foo'"),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(text), expected, "{text:?}");
    }
}

#[test]
fn prefix_last_makes_the_last_word_of_a_last_bare_term_a_prefix() {
    let rows = [
        ("photo", "'photo'*"),
        ("photo ed", "&(photo 'ed'*)"),
        ("photo e", "&(photo 'e'*)"),
        ("photo e  ", "&(photo 'e'*)"),
        ("photo-e", "'photo_e'*"),
        ("e*", "'e'*"),
        ("漢字", "'漢_字'*"),
        ("name:f", "name:'f'*"),
        ("a OR b", "|(a 'b'*)"),
        ("a -b", "&(a; 'b'*)"),
        ("\"a b\"c", "&('a_b' 'c'*)"),
        ("photo!", "'photo'*"),
        // The query does not end in a bare term.
        ("\"photo ed\"", "'photo_ed'"),
        ("(photo)", "photo"),
        ("name:(photo ed)", "&(name:photo name:ed)"),
        ("photo AND", "photo"),
        ("photo -", "photo"),
        ("photo NOT", "photo"),
        ("photo name:", "photo"),
    ];
    for (text, expected) in rows {
        assert_eq!(typed(text), expected, "{text:?}");
    }
}

#[test]
fn refuses_what_is_wrong_with_its_column() {
    let rows: &[(&str, &[usize])] = &[
        // Nothing left.
        ("", &[1]),
        ("   ", &[1]),
        ("+", &[1]),
        ("  + -", &[3]),
        ("\"\"", &[1]),
        ("\"+ +\"", &[1]),
        ("😀", &[1]),
        ("AND", &[1]),
        ("NOT", &[1]),
        ("name:", &[1]),
        ("name:+", &[1]),
        ("NOT +", &[1]),
        ("a (+)", &[4]),
        // Nothing but exclusions.
        ("-a", &[1]),
        ("NOT a -b", &[1]),
        (" -name:a", &[2]),
        ("+ -a", &[3]),
        ("a OR -b", &[6]),
        ("-a OR b", &[1]),
        ("a (-b)", &[4]),
        ("a -(-b)", &[5]),
        ("-(a b)", &[1]),
        ("NOT (a)", &[1]),
        ("-a OR -b", &[1, 7]),
        // Quotes and parentheses.
        ("\"a", &[1]),
        ("a \"b", &[3]),
        ("\"a\" b\"", &[6]),
        ("\"", &[1]),
        ("é ü \"", &[5]),
        ("(a \"b) c", &[4]),
        ("(a", &[1]),
        ("a (b (c) d", &[3]),
        ("((a", &[1, 2]),
        ("(", &[1]),
        ("a)", &[2]),
        (")", &[1]),
        ("a (b)) c", &[6]),
        ("()", &[1]),
        ("a ( )", &[3]),
        ("漢 ()", &[3]),
        ("name:()", &[6]),
        ("a -()", &[4]),
        ("(())", &[2]),
        // A side missing.
        ("OR", &[1]),
        ("a OR", &[3]),
        ("OR a", &[1]),
        ("a OR OR b", &[3]),
        ("a OR AND", &[3]),
        ("(a OR) b", &[4]),
        ("(OR a)", &[2]),
        ("a OR +", &[6]),
        ("+ OR a", &[1]),
        ("a OR NOT", &[6]),
        ("a OR ()", &[6]),
        // No searchable field.
        ("foo:a", &[1]),
        ("a foo:b", &[3]),
        ("a -foo:b", &[4]),
        ("http://example.org", &[1]),
        ("foo:", &[1]),
        ("foo: a", &[1]),
        ("foo:(a b)", &[1]),
        ("status:draft", &[1]),
        ("hash:a", &[1]),
        ("id:a", &[1]),
        ("name:(x:y)", &[7]),
        // A tilde behind a word.
        ("foo~", &[4]),
        ("foo~2", &[4]),
        ("foo~bar", &[4]),
        ("a foo-bar~", &[10]),
        ("e\u{301}~", &[3]),
        ("漢字~", &[3]),
        ("foo*~", &[5]),
        ("name:foo~", &[9]),
        ("\"a b\"~3", &[6]),
        // A lone prefix of one character.
        ("a*", &[1]),
        ("b a*", &[3]),
        ("name:a*", &[6]),
        ("b -a*", &[4]),
        ("\"a\"*", &[1]),
        ("漢*", &[1]),
        // Several at once.
        ("foo:a bar:b", &[1, 7]),
        ("a~ OR () x:", &[2, 7, 10]),
        ("(a OR b*", &[1, 7]),
        ("foo:\"a", &[1, 5]),
    ];
    for (text, columns) in rows {
        let (found, messages) = faults(text);
        assert_eq!(found, *columns, "{text:?}: {messages:?}");
    }
}

#[test]
fn says_what_was_expected() {
    let rows = [
        (
            "foo:a",
            "column 1: foo is no searchable field of app; expected name, tags or about",
        ),
        (
            "a~",
            "column 2: expected no ~ behind a word: typo tolerance is always on",
        ),
        (
            "a OR",
            "column 3: this OR lacks a side; expected a term before and behind it",
        ),
        (
            "a*",
            "column 1: a* is too short; expected 2 characters before the *",
        ),
        (
            "-a",
            "column 1: only exclusions; expected something to search for beside them",
        ),
    ];
    for (text, message) in rows {
        assert_eq!(faults(text).1, [message], "{text:?}");
    }
    let message = &faults(&format!("{}:a", "x".repeat(100_000))).1[0];
    assert!(message.len() < 200, "{message}");
}

#[test]
fn bounds_terms_and_levels() {
    let terms = |n: usize| vec!["ab"; n].join(" ");
    assert!(Query::parse(&app(), &terms(256), false).is_ok());
    assert_eq!(faults(&terms(257)).0, [256 * 3 + 1]);
    assert_eq!(faults(&terms(10_000)).0, [256 * 3 + 1]);
    assert_eq!(faults(&format!("{} -name:c", terms(256))).0, [256 * 3 + 1]);
    assert!(Query::parse(&app(), &format!("{} + -+ \"\"", terms(256)), false).is_ok());

    let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(parse(&nested(32)), "a");
    assert_eq!(faults(&nested(33)).0, [33]);
    assert_eq!(faults(&"(".repeat(1 << 20)).0, [33]);
    assert_eq!(faults(&nested(100_000)).0, [33]);
    assert_eq!(parse(&"(a) ".repeat(100)).matches('a').count(), 100);
    assert_eq!(faults(&"foo:a ".repeat(90)).0.len(), 90);
    assert_eq!(faults(&"foo:a ".repeat(150)).0.len(), 100);
}

#[test]
fn a_phrase_of_many_words_is_one_term() {
    let query = Query::parse(&app(), &format!("\"{}\"", "a ".repeat(300)), false).unwrap();
    assert!(matches!(&query, Query::Term(term) if term.words.len() == 300));
    assert!(!query.matches(&Document::of(&app(), &row("", &[], &"a ".repeat(300)))));
}

#[test]
fn long_queries_end_quickly() {
    // Long enough that anything worse than linear time shows.
    let bytes = 1 << 18;
    let pieces = [
        "a",
        "a ",
        "-",
        "- ",
        "(",
        ")",
        "\"",
        "\" ",
        "()",
        "NOT ",
        "OR ",
        "a OR ",
        "AND ",
        "name:",
        "x:",
        "~",
        "a~",
        "a*",
        "*",
        "\"\"*",
        "\u{301}",
        "a\u{301}~",
        "漢",
        "ﷺ",
        "😀",
        "😀 ",
        "\"a\" ",
    ];
    for piece in pieces {
        let text = piece.repeat(bytes / piece.len());
        for prefix_last in [false, true] {
            if let Err(error) = Query::parse(&app(), &text, prefix_last) {
                assert!(
                    matches!(error.kind(), ErrorKind::Invalid(_)),
                    "{piece:?}: {error:?}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn never_panics_on_any_text(text in any::<String>(), prefix_last: bool) {
        let _ = Query::parse(&app(), &text, prefix_last);
    }

    #[test]
    fn never_panics_on_what_looks_like_a_query(
        text in "([ ()\"*~:+\u{301}-]|NOT|OR|AND|name:|x:|[ab漢é]){0,40}",
        prefix_last: bool,
    ) {
        let chars = text.chars().count();
        match Query::parse(&app(), &text, prefix_last) {
            Ok(query) => prop_assert!(!query.wanted().is_empty()),
            Err(error) => {
                let ErrorKind::Invalid(faults) = error.kind() else { panic!("{error:?}") };
                prop_assert!(!faults.is_empty());
                let within = |column: usize| (1..=chars.max(1)).contains(&column);
                prop_assert!(faults.iter().all(|fault| fault.column.is_some_and(within)));
            }
        }
    }
}

#[test]
fn a_phrase_has_a_thousand_words_at_most() {
    let phrase = |words: usize| format!("\"{}\"", vec!["a"; words].join(" "));
    assert!(Query::parse(&app(), &phrase(1000), false).is_ok());
    assert_eq!(faults(&format!("b {}", phrase(1001))).0, [3]);
}

#[test]
fn a_character_that_no_text_holds_is_invalid() {
    assert_eq!(faults("é\0 a").0, [2]);
}
