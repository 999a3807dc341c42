package s3parquet

import (
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// suffix ends the name of every table's folder.
const suffix = ".delta"

// Path is the folder of a feature's table, relative to the store's location.
func (l Layout) Path(key feature.Key) string {
	if l == Flat {
		return key.Table() + suffix
	}
	return strings.Join(key.Parts(), "/") + suffix
}
