package pipes

import "strings"

// assetKeyEscaper escapes one part of an asset key.
var assetKeyEscaper = strings.NewReplacer(`\`, `\\`, `/`, `\/`)

// EscapeAssetKey joins the parts of an asset key by slashes, as they stand in [ContextData.AssetKeys]; slashes and
// backslashes within a part are escaped by a backslash.
func EscapeAssetKey(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, part := range parts {
		escaped[i] = assetKeyEscaper.Replace(part)
	}
	return strings.Join(escaped, "/")
}

// ParseAssetKey returns the parts of an escaped asset key. As in Dagster, an empty last part and a lone backslash at
// the end are dropped; everything else comes back as it went into [EscapeAssetKey].
func ParseAssetKey(escaped string) []string {
	var parts []string
	var part strings.Builder
	literal := false
	for _, c := range []byte(escaped) {
		switch {
		case literal:
			part.WriteByte(c)
			literal = false
		case c == '\\':
			literal = true
		case c == '/':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	if part.Len() > 0 {
		parts = append(parts, part.String())
	}
	return parts
}
