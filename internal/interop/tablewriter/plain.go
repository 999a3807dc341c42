package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// plain is a value in a JSON form that the Python tests build too: times in ISO 8601 with six digits, bytes in hex,
// decimals as text, maps as lists of pairs.
func plain(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(i)
	case *array.Binary:
		return hex.EncodeToString(a.Value(i))
	case *array.Boolean:
		return a.Value(i)
	case *array.Float32:
		return a.Value(i)
	case *array.Float64:
		return a.Value(i)
	case *array.Date32:
		return a.Value(i).ToTime().Format(time.DateOnly)
	case *array.Timestamp:
		text := time.UnixMicro(int64(a.Value(i))).UTC().Format("2006-01-02T15:04:05.000000")
		if a.DataType().(*arrow.TimestampType).TimeZone != "" {
			text += "Z"
		}
		return text
	case *array.Decimal128:
		return a.ValueStr(i)
	case *array.Struct:
		members := map[string]any{}
		for j, f := range a.DataType().(*arrow.StructType).Fields() {
			members[f.Name] = plain(a.Field(j), i)
		}
		return members
	case *array.Map:
		return elements(a, i, func(e int) any { return []any{plain(a.Keys(), e), plain(a.Items(), e)} })
	case *array.List:
		return elements(a, i, func(e int) any { return plain(a.ListValues(), e) })
	}
	return json.Number(fmt.Sprint(a.GetOneForMarshal(i))) // the integers
}

func elements(a array.ListLike, i int, element func(e int) any) []any {
	list := []any{}
	for from, to := a.ValueOffsets(i); from < to; from++ {
		list = append(list, element(int(from)))
	}
	return list
}
