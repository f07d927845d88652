//! Environment files: `NAME=value` lines, as python-dotenv and container tools read them.
//!
//! It owns the syntax. It must not know which names are options, and it changes no
//! environment: the caller does with the pairs what it wants.
//!
//! Blank lines, `#` comments and a leading `export` are allowed. A bare value ends at ` #` and
//! loses the blanks around it; `'…'` is taken as it stands; `"…"` knows `\n`, `\t`, `\r`, `\"`,
//! `\\` and `\$`. Quoted values may span lines. `${NAME}` and `${NAME:-default}` are replaced
//! in bare and double-quoted values, from the environment first, then from earlier lines.

use std::path::Path;
use std::{fs, str};

use super::sources::Environment;
use crate::error::Error;

/// The variables of a file, in its order.
pub(super) fn read(
    path: &Path,
    environment: Environment<'_>,
) -> Result<Vec<(String, String)>, Error> {
    let blame = |reason| Error::UserEnvFile { path: path.display().to_string(), reason };
    let bytes = fs::read(path).map_err(|error| blame(format!("cannot be read: {error}")))?;
    let text = str::from_utf8(&bytes).map_err(|_| blame("is not valid UTF-8".to_owned()))?;
    parse(text, environment).map_err(blame)
}

fn parse(text: &str, environment: Environment<'_>) -> Result<Vec<(String, String)>, String> {
    let mut variables = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(variables);
        }
        let (entry, after) = rest.split_at(rest.find('\n').unwrap_or(rest.len()));
        if entry.starts_with('#') {
            rest = after;
            continue;
        }
        let assignment = entry.strip_prefix("export ").map_or(entry, str::trim_start);
        let Some((name, _)) = assignment.split_once('=') else {
            // python-dotenv takes a name alone as "not set"; so do files written for it.
            if !is_name(assignment.trim()) {
                return Err(format!("line {} is not NAME=value", line_number(text, rest)));
            }
            rest = after;
            continue;
        };
        if !is_name(name.trim()) {
            return Err(format!("line {} is not NAME=value", line_number(text, rest)));
        }
        let value_at = entry.len() - assignment.len() + name.len() + 1;
        let raw = rest[value_at..].trim_start_matches([' ', '\t']);
        let (value, after) = value(raw)
            .ok_or_else(|| format!("line {}: the quote is not closed", line_number(text, rest)))?;
        let value = match value {
            Value::Literal(value) => value.to_owned(),
            Value::Template(template) => expand(&template, &variables, environment),
        };
        variables.push((name.trim().to_owned(), value));
        rest = after;
    }
}

fn line_number(text: &str, rest: &str) -> usize {
    text[..text.len() - rest.len()].matches('\n').count() + 1
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

enum Value<'a> {
    /// To be taken as it stands.
    Literal(&'a str),
    /// May contain `${…}`; a dollar that stands for itself is [`DOLLAR`].
    Template(String),
}

/// Stands for an escaped dollar until variables are replaced; a NUL is in no environment.
const DOLLAR: char = '\0';

/// The value at the start of `raw`, and what follows its line; nothing if a quote stays open.
fn value(raw: &str) -> Option<(Value<'_>, &str)> {
    let line_after = |rest: &'_ str| rest.find('\n').unwrap_or(rest.len());
    if let Some(quoted) = raw.strip_prefix('\'') {
        let (inner, rest) = quoted.split_once('\'')?;
        return Some((Value::Literal(inner), &rest[line_after(rest)..]));
    }
    if let Some(quoted) = raw.strip_prefix('"') {
        let (inner, rest) = unescape(quoted)?;
        return Some((Value::Template(inner), &rest[line_after(rest)..]));
    }
    let (line, rest) = raw.split_at(line_after(raw));
    let bare = if line.starts_with('#') { "" } else { line };
    let bare = bare.find(" #").or_else(|| bare.find("\t#")).map_or(bare, |at| &bare[..at]);
    Some((Value::Template(bare.trim().to_owned()), rest))
}

/// The text up to the closing double quote, and what follows it.
fn unescape(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                '$' => text.push(DOLLAR),
                plain @ ('"' | '\\' | '\'') => text.push(plain),
                other => text.extend(['\\', other]),
            },
            _ => text.push(letter),
        }
    }
    None
}

/// Replaces `${NAME}` and `${NAME:-default}`.
fn expand(template: &str, earlier: &[(String, String)], environment: Environment<'_>) -> String {
    let lookup = |name: &str| {
        let outer = environment(name).and_then(|value| value.into_string().ok());
        outer.or_else(|| {
            earlier.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    };
    let mut parts = template.split("${");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            None => text.extend(["${", part]),
            Some((inner, rest)) => {
                let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
                let found = lookup(name).filter(|value| !value.is_empty());
                text.push_str(found.as_deref().unwrap_or(default));
                text.push_str(rest);
            }
        }
    }
    text.chars().map(|letter| if letter == DOLLAR { '$' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::parse;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
        parse(text, &|name| (name == "OUTER").then(|| OsString::from("outer value")))
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(pairs(text), Ok(expected));
    }

    #[test]
    fn plain_lines_comments_and_blanks_are_read() {
        check(
            "A=1\n\n# a comment\n  B = two words  # not this\nexport C=3\n",
            &[("A", "1"), ("B", "two words"), ("C", "3")],
        );
    }

    #[test]
    fn a_hash_inside_a_bare_word_belongs_to_it() {
        check("URL=http://x/#top\nEMPTY=# nothing\n", &[("URL", "http://x/#top"), ("EMPTY", "")]);
    }

    #[test]
    fn single_quotes_are_literal_and_double_quotes_know_escapes() {
        check(
            "A='${OUTER} \\n'\nB=\"x\\ty\\\"\\$z\" # end\nC=4",
            &[("A", "${OUTER} \\n"), ("B", "x\ty\"$z"), ("C", "4")],
        );
    }

    #[test]
    fn quoted_values_span_lines() {
        check("KEY=\"one\ntwo\"\nNEXT=1", &[("KEY", "one\ntwo"), ("NEXT", "1")]);
    }

    #[test]
    fn variables_are_replaced_from_the_environment_then_from_earlier_lines() {
        check(
            "A=1\nOUTER=mine\nB=${A}-${OUTER}\nC=${NONE:-dflt}|${NONE}|${open",
            &[("A", "1"), ("OUTER", "mine"), ("B", "1-outer value"), ("C", "dflt||${open")],
        );
    }

    #[test]
    fn carriage_returns_and_a_byte_order_mark_are_ignored() {
        check("\u{feff}A=1\r\nB='x'\r\n", &[("A", "1"), ("B", "x")]);
    }

    #[test]
    fn a_name_alone_sets_nothing() {
        check("ALONE\nA=1", &[("A", "1")]);
    }

    #[test]
    fn mistakes_name_their_line() {
        assert_eq!(pairs("A=1\n\nnot a line\n"), Err("line 3 is not NAME=value".to_owned()));
        assert_eq!(pairs("=1"), Err("line 1 is not NAME=value".to_owned()));
        assert_eq!(pairs("A=1\nB=\"open"), Err("line 2: the quote is not closed".to_owned()));
        assert_eq!(pairs("B='open"), Err("line 1: the quote is not closed".to_owned()));
    }
}
