//! A workbook coming in: one multipart field, spooled to a file and bounded while it comes.

use std::io::Write;

use actix_multipart::{Field, Multipart};
use futures_util::TryStreamExt;
use platform::http::ApiError;
use utoipa::ToSchema;

use super::{MAX_FILE_BYTES, service::Upload};

/// Bytes of other multipart fields that are read over.
const MAX_OTHER_BYTES: usize = 64 * 1024;

/// A workbook under the field `file`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a multipart body")]
pub struct FileForm {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Spools the field `file` of a multipart body; the rest is read over.
pub(super) async fn upload(mut form: Multipart) -> Result<Upload, ApiError> {
    let unreadable = |e: actix_multipart::MultipartError| {
        ApiError::unreadable_body("请求体必须是 multipart/form-data", "the body must be multipart/form-data")
            .with_source(e.to_string())
    };
    let mut found = None;
    let mut other = 0;
    while let Some(mut field) = form.try_next().await.map_err(unreadable)? {
        if field.name() == Some("file") && found.is_none() {
            found = Some(spool(field).await?);
            continue;
        }
        while let Some(chunk) = field.try_next().await.map_err(unreadable)? {
            other += chunk.len();
            if other > MAX_OTHER_BYTES {
                return Err(ApiError::too_large(MAX_OTHER_BYTES));
            }
        }
    }
    found.ok_or_else(|| ApiError::invalid("file", "不能为空", "is required"))
}

async fn spool(mut field: Field) -> Result<Upload, ApiError> {
    let name = field.content_disposition().and_then(|d| d.get_filename()).unwrap_or_default();
    let name: String = name.rsplit(['/', '\\']).next().unwrap_or_default().chars().take(255).collect();
    let mut file = tempfile::NamedTempFile::new().map_err(ApiError::internal)?;
    let mut size = 0;
    loop {
        let chunk = field.try_next().await.map_err(|e| {
            ApiError::unreadable_body("上传不完整", "the upload is incomplete").with_source(e.to_string())
        })?;
        let Some(chunk) = chunk else { break };
        size += chunk.len();
        if size > MAX_FILE_BYTES {
            return Err(ApiError::too_large(MAX_FILE_BYTES));
        }
        // Into the page cache: no slower than a hop to another thread.
        file.write_all(&chunk).map_err(ApiError::internal)?;
    }
    if size == 0 {
        return Err(ApiError::invalid("file", "不能为空", "is required"));
    }
    Ok(Upload { file, name })
}
