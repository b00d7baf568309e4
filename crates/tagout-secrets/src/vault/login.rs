//! Coming to a token.
use serde_json::json;
use tagout_proto::Secret;

use super::{Login, Looked, OfAuth, Token, Vault, refused};
use crate::{
    SecretError, Source, World,
    fetch::{answered, is_passing},
    read_file,
};

impl Vault {
    pub(super) async fn login(&mut self, world: World<'_>, of: &Source) -> Result<(), SecretError> {
        match self.settings.login.clone() {
            Login::Token(token) => self.by_token(world, of, &token).await,
            Login::AppRole { mount, role_id, secret_id } => {
                let (role, secret) = ((world.local)(&role_id)?, (world.local)(&secret_id)?);
                let body = json!({ "role_id": role.expose(), "secret_id": secret.expose() });
                self.by_method(world, of, (&mount, wiped(body))).await
            }
            Login::Kubernetes { mount, role, token_file } => {
                let account = Source::File(token_file.clone());
                let read = read_file(&token_file);
                let (token, _) = read.map_err(|error| SecretError::local(&account, &error))?;
                let body = json!({ "role": role, "jwt": token.expose() });
                self.by_method(world, of, (&mount, wiped(body))).await
            }
        }
    }

    /// A token of the operator's; asked how long it is good.
    async fn by_token(
        &mut self,
        world: World<'_>,
        of: &Source,
        token: &Source,
    ) -> Result<(), SecretError> {
        let text = (world.local)(token)?;
        let now = world.clock.now();
        let url = format!("{}/v1/auth/token/lookup-self", self.settings.address);
        let make = || Ok(self.request_under(&url, None, Some(&text)));
        let answer = answered(world, of, make, |answer| is_passing(answer.status)).await?;
        if answer.status != 200 {
            return Err(refused(of, answer.status));
        }
        let looked = serde_json::from_slice::<Looked>(answer.body.expose());
        let Looked { data } =
            looked.map_err(|_| SecretError::unusable(of, "comes from what is no Vault"))?;
        self.token = Some(Token::new(text, now, data.ttl, data.renewable));
        Ok(())
    }

    /// By a method that gives a token for what is shown to it.
    async fn by_method(
        &mut self,
        world: World<'_>,
        of: &Source,
        (mount, body): (&str, Secret<Vec<u8>>),
    ) -> Result<(), SecretError> {
        let url = format!("{}/v1/auth/{mount}/login", self.settings.address);
        let make = || Ok(self.request(&url, Some(Secret::new(body.expose().clone()))));
        let answer = answered(world, of, make, |answer| is_passing(answer.status)).await?;
        match answer.status {
            200 => {
                let auth = serde_json::from_slice::<OfAuth>(answer.body.expose());
                let auth =
                    auth.map_err(|_| SecretError::unusable(of, "comes from what is no Vault"))?;
                self.take(world, of, auth.auth)
            }
            // What Vault says to a wrong role or a wrong proof.
            400 | 401 | 403 | 404 => {
                let status = answer.status;
                let problem = format!("is not to be had: Vault refuses Tagout's login ({status})");
                Err(SecretError::denied(of, problem))
            }
            status => Err(refused(of, status)),
        }
    }
}

/// As bytes, once; the text that they were made of is wiped.
fn wiped(mut body: serde_json::Value) -> Secret<Vec<u8>> {
    let bytes = Secret::new(body.to_string().into_bytes());
    for value in body.as_object_mut().into_iter().flat_map(|members| members.values_mut()) {
        if let serde_json::Value::String(text) = value {
            zeroize::Zeroize::zeroize(text);
        }
    }
    bytes
}
