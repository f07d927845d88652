//! Which known word somebody probably meant.
//!
//! It owns the measure of likeness. It must not know what the words stand for.

/// The known word nearest to `word`, if one is near enough to be worth saying.
pub(super) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // About a third of the letters may differ: "prot" finds "port", "xyz" finds nothing.
    let limit = word.chars().count().max(3) / 3;
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        let known = ["host", "port", "workers", "access_log"];
        assert_eq!(closest("prot", known), Some("port"));
        assert_eq!(closest("worker", known), Some("workers"));
        assert_eq!(closest("accesslog", known), Some("access_log"));
        assert_eq!(closest("ws", known), None);
        assert_eq!(closest("frobnicate", known), None);
    }
}
