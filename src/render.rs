use crate::rotation::failure::*;
use crate::rotation::receipt::SpecDigest;
use crate::rotation::*;
use crate::secret::*;
use std::collections::BTreeMap;
pub struct Templates;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct RenderError;
impl Classify for RenderError {
    fn kind(&self) -> FailureKind {
        FailureKind::Permanent { named: true }
    }
    fn code(&self) -> &'static str {
        "template"
    }
}
impl Templates {
    pub fn new(_: &BTreeMap<String, Option<String>>) -> Result<Self, RenderError> {
        Ok(Templates)
    }
    pub fn render(&self, _: &RotationName, t: &MintedToken) -> Result<Content, RenderError> {
        let Material::Bearer { access_token, .. } = &t.material else { todo!() };
        Ok(Content::new([("access_token", access_token)]))
    }
    pub fn digest(&self) -> SpecDigest {
        SpecDigest::of([])
    }
}
pub fn reread(_: &Content) -> Option<Material> {
    None
}
