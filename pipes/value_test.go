package pipes_test

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

func TestValueEncoding(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value pipes.Value
		want  string
	}{
		{pipes.Float(0), `{"type":"float","raw_value":0.0}`},
		{pipes.Float(math.Copysign(0, -1)), `{"type":"float","raw_value":-0.0}`},
		{pipes.Float(1), `{"type":"float","raw_value":1.0}`},
		{pipes.Float(-3.25), `{"type":"float","raw_value":-3.25}`},
		{pipes.Float(1e20), `{"type":"float","raw_value":100000000000000000000.0}`},
		{pipes.Float(1e21), `{"type":"float","raw_value":1e+21}`},
		{pipes.Float(math.MaxFloat64), `{"type":"float","raw_value":1.7976931348623157e+308}`},
		{pipes.Float(math.SmallestNonzeroFloat64), `{"type":"float","raw_value":5e-324}`},
		{pipes.Int(math.MinInt64), `{"type":"int","raw_value":-9223372036854775808}`},
		{pipes.Uint(math.MaxUint64), `{"type":"int","raw_value":18446744073709551615}`},
		{pipes.BigInt(new(big.Int).Lsh(big.NewInt(-1), 100)), `{"type":"int","raw_value":-1267650600228229401496703205376}`},
		{pipes.Timestamp(time.Unix(1709209800, 999_999_999)), `{"type":"timestamp","raw_value":1709209800.999999}`},
		{pipes.Timestamp(time.Unix(-1, 0)), `{"type":"timestamp","raw_value":-1.0}`},
		{pipes.JSON(nil), `{"type":"json","raw_value":null}`},
		{pipes.JSON([]string{"<&>"}), `{"type":"json","raw_value":["<&>"]}`},
		{pipes.JSON(json.RawMessage("{\n\"a\" : 1e2 }")), `{"type":"json","raw_value":{"a":1e2}}`},
		{pipes.Infer(float32(0.1)), `{"type":"__infer__","raw_value":0.1}`},
		{pipes.Infer(float32(2)), `{"type":"__infer__","raw_value":2.0}`},
		{pipes.Infer(uint8(7)), `{"type":"__infer__","raw_value":7}`},
		{pipes.Infer(big.NewInt(7)), `{"type":"__infer__","raw_value":7}`},
		{pipes.Infer(map[string]int{"b": 1, "a": 2}), `{"type":"__infer__","raw_value":{"a":2,"b":1}}`},
		{pipes.Infer(pipes.URL("u")), `{"type":"url","raw_value":"u"}`},
		{pipes.TableSchema(), `{"type":"table_schema","raw_value":{"columns":[]}}`},
		{pipes.TableSchema(pipes.Column{Name: "n"}), `{"type":"table_schema","raw_value":{"columns":[{"name":"n","type":"string"}]}}`},
		{
			pipes.TableSchema(pipes.Column{Name: "n", Unique: true}),
			`{"type":"table_schema","raw_value":{"columns":[{"constraints":{"nullable":true,"other":[],"unique":true},"name":"n","type":"string"}]}}`,
		},
		{pipes.Table(nil, nil), `{"type":"table","raw_value":{"records":[],"schema":[]}}`},
		{
			pipes.Table([]pipes.Column{{Name: "n"}}, []map[string]any{{"n": 1.0}, {"n": uint64(math.MaxUint64)}, {}}),
			`{"type":"table","raw_value":{"records":[{"n":1.0},{"n":18446744073709551615},{}],"schema":[{"name":"n","type":"string"}]}}`,
		},
		{
			pipes.Table([]pipes.Column{{Name: "t"}}, []map[string]any{{"t": time.Unix(0, 0).UTC()}, {"t": json.Number("1.50")}}),
			`{"type":"table","raw_value":{"records":[{"t":"1970-01-01T00:00:00Z"},{"t":1.50}],"schema":[{"name":"t","type":"string"}]}}`,
		},
		{
			pipes.ColumnLineage(map[string][]pipes.ColumnSource{"c": {{Asset: []string{"a", "b/c"}, Column: "d"}}}),
			`{"type":"table_column_lineage","raw_value":{"deps_by_column":{"c":[{"asset_key":["a","b/c"],"column_name":"d"}]}}}`,
		},
		{pipes.ColumnLineage(nil), `{"type":"table_column_lineage","raw_value":{"deps_by_column":{}}}`},
		{
			pipes.ColumnLineage(map[string][]pipes.ColumnSource{"c": nil}),
			`{"type":"table_column_lineage","raw_value":{"deps_by_column":{"c":[]}}}`,
		},
	} {
		if err := test.value.Err(); err != nil {
			t.Errorf("%s: %v", test.want, err)
			continue
		}
		got, err := test.value.MarshalJSON()
		if err != nil || string(got) != test.want {
			t.Errorf("got %s, %v, want %s", got, err, test.want)
		}
	}
}

func TestValueErrors(t *testing.T) {
	t.Parallel()
	invalid := "a\xffb"
	columns := []pipes.Column{{Name: "a"}}
	for want, v := range map[string]pipes.Value{
		"value is empty":            {},
		"float NaN":                 pipes.Float(math.NaN()),
		"float +Inf":                pipes.Float(math.Inf(1)),
		"float -Inf":                pipes.Infer(math.Inf(-1)),
		"is not valid UTF-8":        pipes.Text(invalid),
		"a\\xffb":                   pipes.Infer(invalid),
		"big integer is nil":        pipes.BigInt(nil),
		"JSON true is a bare":       pipes.JSON(true),
		"JSON 5 is a bare":          pipes.JSON(5),
		"unsupported type: func()":  pipes.JSON(func() {}),
		"unsupported value: NaN":    pipes.JSON([]float64{math.NaN()}),
		"unsupported type: chan":    pipes.Infer(make(chan int)),
		"asset key has no parts":    pipes.Asset(),
		`"a/b"`:                     pipes.Asset("x", "a/b"),
		"empty or holds a slash":    pipes.Asset(""),
		"year 10000":                pipes.Timestamp(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)),
		`column "a" is there twice`: pipes.TableSchema(columns[0], columns[0]),
		`"b" that is not in`:        pipes.Table(columns, []map[string]any{{"b": 1}}),
		`column "a": not a scalar`:  pipes.Table(columns, []map[string]any{{"a": []int{1}}}),
		`column "a": float NaN`:     pipes.Table(columns, []map[string]any{{"a": math.NaN()}}),
		"column \"b\\xff\"":         pipes.TableSchema(pipes.Column{Name: "b\xff"}),
		"without asset or column":   pipes.ColumnLineage(map[string][]pipes.ColumnSource{"c": {{}}}),
	} {
		err := v.Err()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one about %q", err, want)
		}
		if _, marshalErr := json.Marshal(v); marshalErr == nil {
			t.Errorf("the value that %v is written nevertheless", err)
		}
	}
}
