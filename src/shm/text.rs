//! Texts that a segment keeps in room of a fixed length.

/// The longest prefix of `text` of at most `bytes` bytes that ends between characters.
pub(crate) fn truncated(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::truncated;

    #[test]
    fn a_text_is_cut_between_its_characters() {
        assert_eq!((truncated("aä", 2), truncated("aä", 3), truncated("ä", 0)), ("a", "aä", ""));
    }
}
