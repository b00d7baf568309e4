use tagout_assertion::{PublicKey, Signer};

#[test]
fn a_key_has_the_thumbprint_that_rfc_8037_says() {
    let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let keys = PublicKey::set_of_jwks(jwks).unwrap();
    let ids: Vec<_> = keys.iter().map(PublicKey::id).collect();
    assert_eq!(ids, ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]);
}

#[test]
fn a_key_set_is_read_back() {
    let public = Signer::from_seed(&[7; 32]).public().clone();
    assert_eq!(PublicKey::set_of_jwks(&public.jwks()), Ok(vec![public.clone()]));
    let two = format!(r#"{{"keys":[{},{}]}}"#, public.jwk(), public.jwk());
    assert_eq!(PublicKey::set_of_jwks(&two).map(|keys| keys.len()), Ok(2));
}

#[test]
fn what_is_no_set_of_public_keys_is_refused() {
    let good = Signer::from_seed(&[7; 32]).public().jwks();
    let zeros = "A".repeat(43);
    for text in [
        String::new(),
        "{}".to_owned(),
        r#"{"keys":[]}"#.to_owned(),
        r#"{"keys":{}}"#.to_owned(),
        r#"{"keys":[1]}"#.to_owned(),
        good.replace("OKP", "RSA"),
        good.replace("Ed25519", "X25519"),
        good.replace(r#""use""#, r#""d":"x","use""#),
        good.replace(r#""kid":""#, r#""kid":"x"#),
        good.replace(r#""x":""#, r#""x":"AA"#),
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{zeros}"}}]}}"#),
        format!(r#"{{"keys":[],{}"#, good.trim_start_matches('{')),
    ] {
        assert!(PublicKey::set_of_jwks(&text).is_err(), "{text}");
    }
}
