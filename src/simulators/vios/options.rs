//! Options of a padmin command: `-key value …` and lone flags.

/// The options of one command line, in order.
pub(super) struct Options<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Options<'a> {
    /// A word that begins with `-` opens an option; the words behind it are its values.
    pub(super) fn parse(words: &[&'a str]) -> Self {
        let mut options: Vec<(&str, Vec<&str>)> = Vec::new();
        for word in words {
            match word.strip_prefix('-') {
                Some(key) if key.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    options.push((key, Vec::new()));
                }
                Some(_) | None => {
                    if let Some((_, values)) = options.last_mut() {
                        values.push(word);
                    }
                }
            }
        }
        Self(options)
    }
    /// First value of an option.
    pub(super) fn value(&self, key: &str) -> Option<&'a str> {
        self.values(key).first().copied()
    }
    /// All values of an option, as of `-field name pvid`.
    pub(super) fn values(&self, key: &str) -> &[&'a str] {
        let found = self.0.iter().find(|(k, _)| *k == key);
        found.map(|(_, v)| v.as_slice()).unwrap_or_default()
    }
    /// Whether an option was given at all.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| *k == key)
    }
    /// The first option that is none of `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> Option<&'a str> {
        let mut keys = self.0.iter().map(|(k, _)| *k);
        keys.find(|k| !known.contains(k))
    }
}
