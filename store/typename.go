package store

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// TypeName names a stored type as Delta Lake does.
func TypeName(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.Decimal128Type:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case *arrow.TimestampType:
		if t.TimeZone == "" {
			return "timestamp_ntz"
		}
		return "timestamp"
	case *arrow.MapType:
		return fmt.Sprintf("map<%s, %s>", TypeName(t.KeyType()), TypeName(t.ItemType()))
	case arrow.ListLikeType:
		return fmt.Sprintf("array<%s>", TypeName(t.Elem()))
	case *arrow.StructType:
		members := make([]string, t.NumFields())
		for i, f := range t.Fields() {
			members[i] = f.Name + ": " + TypeName(f.Type)
		}
		return "struct<" + strings.Join(members, ", ") + ">"
	}
	names := map[arrow.Type]string{
		arrow.STRING: "string", arrow.INT8: "byte", arrow.INT16: "short", arrow.INT32: "integer", arrow.INT64: "long",
		arrow.FLOAT32: "float", arrow.FLOAT64: "double", arrow.BOOL: "boolean", arrow.BINARY: "binary", arrow.DATE32: "date",
	}
	if name, ok := names[t.ID()]; ok {
		return name
	}
	return t.String()
}
