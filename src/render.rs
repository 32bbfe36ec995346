use crate::rotation::*; use crate::secret::*; use crate::rotation::receipt::SpecDigest; use crate::rotation::failure::*;
pub struct Templates;
#[derive(Debug, thiserror::Error)] #[error("x")] pub struct RenderError;
impl Classify for RenderError { fn kind(&self)->FailureKind{FailureKind::Permanent{named:true}} fn code(&self)->&'static str{"template"} }
impl Templates { pub fn render(&self,_:&RotationName,_:&MintedToken)->Result<Content,RenderError>{todo!()} pub fn digest(&self)->SpecDigest{todo!()} pub fn reread(&self,_:&Content)->Option<Material>{todo!()} }
