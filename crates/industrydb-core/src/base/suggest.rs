//! What a message adds about a name that is not known.

/// How alike a name must be to one that is known for it to be meant.
const LIKENESS: f64 = 0.75;

/// What a message adds about a name that is not known.
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
