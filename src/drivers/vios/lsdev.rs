//! `lsdev` as padmin prints it (`hmc.md` § 5.2).

/// The value of `lsdev -dev NAME -attr ATTRIBUTE`: the word `value`, an empty line, the value.
pub fn attribute(text: &str) -> Option<&str> {
    let mut lines = text
        .lines()
        .map(str::trim_end)
        .filter(|l| !l.trim().is_empty());
    (lines.next()?.trim() == "value").then_some(())?;
    let value = lines.next()?;
    lines.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_the_line_under_the_word_value() {
        assert_eq!(attribute("value\n\n3425000000\n"), Some("3425000000"));
        assert_eq!(attribute("value\n\n"), None);
        assert_eq!(attribute("3425000000"), None);
        assert_eq!(
            attribute("value\n\n3E213X0F1746      FAStT03IBMfcp\n"),
            Some("3E213X0F1746      FAStT03IBMfcp")
        );
    }
}
