//! Names of types and fields in other languages.

/// Words of C, C++, Rust and Python that cannot be names, beside those that no struct has for fields.
const WORDS: &[&str] = &[
    "abstract",
    "alignas",
    "alignof",
    "and",
    "as",
    "asm",
    "assert",
    "async",
    "auto",
    "await",
    "become",
    "bool",
    "box",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "constexpr",
    "continue",
    "crate",
    "def",
    "default",
    "del",
    "delete",
    "do",
    "double",
    "dyn",
    "elif",
    "else",
    "enum",
    "except",
    "explicit",
    "export",
    "extern",
    "false",
    "final",
    "finally",
    "float",
    "fn",
    "for",
    "friend",
    "from",
    "gen",
    "global",
    "goto",
    "if",
    "impl",
    "import",
    "in",
    "inline",
    "int",
    "is",
    "lambda",
    "let",
    "long",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "mutable",
    "namespace",
    "new",
    "nonlocal",
    "not",
    "operator",
    "or",
    "override",
    "pass",
    "priv",
    "private",
    "protected",
    "pub",
    "public",
    "raise",
    "ref",
    "register",
    "restrict",
    "return",
    "self",
    "Self",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "super",
    "switch",
    "template",
    "this",
    "throw",
    "trait",
    "true",
    "try",
    "type",
    "typedef",
    "typeof",
    "typename",
    "union",
    "unsafe",
    "unsigned",
    "unsized",
    "use",
    "using",
    "virtual",
    "void",
    "volatile",
    "where",
    "while",
    "with",
    "xor",
    "yield",
    "None",
    "True",
    "False",
];

/// One that all four languages take.
pub fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
        && !WORDS.contains(&name)
        && name != "_"
}

/// The same name if it is one, or one like it.
pub fn identifier(name: &str) -> String {
    if is_identifier(name) {
        return name.to_owned();
    }
    let plain: String = name.chars().map(|other| if other.is_ascii_alphanumeric() { other } else { '_' }).collect();
    if is_identifier(&plain) { plain } else { format!("f_{plain}") }
}

/// `tick_legs` of a path: `Tick`, `legs`.
pub fn joined(path: &[String]) -> String {
    path.iter().map(|part| identifier(part)).collect::<Vec<_>>().join("_")
}

/// `TickLegs` of a path: `Tick`, `legs`.
pub fn in_camel_case(path: &[String]) -> String {
    let word = |word: &str| {
        let mut characters = word.chars();
        characters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
    };
    let part = |part: &String| part.split('_').map(word).collect::<String>();
    let name: String = path.iter().map(part).collect();
    if is_identifier(&name) { name } else { format!("Message{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_an_identifier() {
        for name in ["price", "_x", "0", "type", "gr\u{f6}\u{df}e", "", "a b", "self", "_"] {
            assert!(is_identifier(&identifier(name)), "{name:?}: {:?}", identifier(name));
        }
        assert_eq!((identifier("price"), identifier("0"), identifier("type")), ("price".into(), "f_0".into(), "f_type".into()));
        let path = ["Tick".to_owned(), "best_legs".to_owned(), "0".to_owned()];
        assert_eq!((joined(&path), in_camel_case(&path)), ("Tick_best_legs_f_0".to_owned(), "TickBestLegs0".to_owned()));
    }
}
