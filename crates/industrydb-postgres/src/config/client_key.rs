//! The private key of a client's certificate, in any of the forms that OpenSSL writes.

use pem::Pem;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode, Encode};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use sec1::EcPrivateKey;

/// PEM tag of a key in PKCS #8.
const PKCS8: &str = "PRIVATE KEY";

/// Object identifier of RSA keys: RFC 8017, `rsaEncryption`.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Object identifier of keys on elliptic curves: RFC 5480, `id-ecPublicKey`.
const ELLIPTIC_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Converts the first private key of a PEM file to PKCS #8, from that form, from PKCS #1 or from
/// SEC1.
///
/// The error says what is wrong with the key, and nothing of its content.
pub(crate) fn pkcs8(file: &[u8]) -> Result<String, &'static str> {
    let sections = pem::parse_many(file).map_err(|_| "the key is no PEM file")?;
    let is_key = |section: &&Pem| section.tag().ends_with(PKCS8);
    let key = sections.iter().find(is_key);
    let key = key.ok_or("the file has no PRIVATE KEY in PEM")?;
    if key.tag() == "ENCRYPTED PRIVATE KEY" || key.headers().get("DEK-Info").is_some() {
        return Err("the key is encrypted: write it without a password, openssl pkey -in … -out …");
    }
    let content = match key.tag() {
        "RSA PRIVATE KEY" => wrapped(RSA, AnyRef::NULL, key.contents()),
        "EC PRIVATE KEY" => named_curve(key.contents())
            .and_then(|curve| wrapped(ELLIPTIC_CURVE, AnyRef::from(&curve), key.contents())),
        PKCS8 => Some(key.contents().to_vec()),
        _ => return Err("the key is in none of the forms PKCS #8, PKCS #1 and SEC1"),
    };
    let content = content.ok_or("the key cannot be read")?;
    Ok(pem::encode(&Pem::new(PKCS8, content)))
}

/// Returns the curve that a key in SEC1 names.
fn named_curve(key: &[u8]) -> Option<ObjectIdentifier> {
    EcPrivateKey::from_der(key).ok()?.parameters?.named_curve()
}

/// Wraps a key in the structure of PKCS #8, which names the key's algorithm.
fn wrapped(oid: ObjectIdentifier, parameters: AnyRef, key: &[u8]) -> Option<Vec<u8>> {
    let algorithm = AlgorithmIdentifierRef {
        oid,
        parameters: Some(parameters),
    };
    let key = OctetStringRef::new(key).ok()?;
    PrivateKeyInfoRef::new(algorithm, key).to_der().ok()
}
