//! Suggests a known name in messages about an unknown one.

/// Smallest similarity, from 0 to 1, at which a known name is suggested.
const LIKENESS: f64 = 0.75;

/// Returns the end of a message that suggests the known name most similar to `name`. The text is
/// empty if that name is neither similar enough nor contains `name`.
///
/// # Examples
///
/// ```
/// use industrydb_core::suggest::did_you_mean;
///
/// assert_eq!(did_you_mean("encrpyt", &["encrypt", "instance"]), ", did you mean \"encrypt\"?");
/// assert_eq!(did_you_mean("colour", &["encrypt", "instance"]), "");
/// ```
pub fn did_you_mean(name: &str, known: &[&str]) -> String {
    let likeness = |other: &&&str| strsim::normalized_damerau_levenshtein(name, other);
    let best = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best.filter(|other| likeness(other) >= LIKENESS || other.contains(name)) {
        Some(other) => format!(", did you mean {other:?}?"),
        None => String::new(),
    }
}
