//! What can be chosen for a provider.

/// What can be chosen for a provider. Nothing here changes a prompt unless it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Added to the standing instructions, visibly, for this provider only.
    pub suffix: Option<String>,
    /// Whether tools are offered as strict where the provider and their schemas allow it.
    pub strict: bool,
    /// The longest answer, in tokens; if nothing is said, 16384 where the wire needs a number or the
    /// provider is paid for, otherwise what the server allows.
    pub max_output_tokens: Option<u32>,
    /// How much chance there is in an answer; the provider's own if nothing is said.
    pub temperature: Option<f64>,
    /// How hard a reasoning model thinks, in its provider's word: `low`, `medium`, `high`.
    pub effort: Option<String>,
    /// The context in tokens that Ollama is asked to make room for.
    pub num_ctx: u32,
    /// Whether images are sent; by the catalogue if nothing is said.
    pub images: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            suffix: None,
            strict: false,
            max_output_tokens: None,
            temperature: None,
            effort: None,
            num_ctx: 16384,
            images: None,
        }
    }
}

/// The lowest limit that every provider takes.
const LEAST_OUTPUT: u32 = 16;
/// The longest answer where one has to be named, in tokens.
const USUAL_OUTPUT: u32 = 16384;

impl Settings {
    /// The same, for one answer of at most `tokens`.
    pub(crate) fn at_most(&self, tokens: Option<u32>) -> Self {
        let Some(tokens) = tokens.map(|tokens| tokens.max(LEAST_OUTPUT)) else {
            return self.clone();
        };
        let most = self.max_output_tokens.map_or(tokens, |most| most.min(tokens));
        Self { max_output_tokens: Some(most), ..self.clone() }
    }

    /// The longest answer, in tokens, where one has to be named.
    pub(crate) fn most(&self) -> u32 {
        self.max_output_tokens.unwrap_or(USUAL_OUTPUT)
    }
}
