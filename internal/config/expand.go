package config

import "regexp"

// variable is ${NAME} or ${NAME:-default}, as Metaxy has it.
var variable = regexp.MustCompile(`\$\{([^}:]+)(?::-([^}]*))?\}`)

// expand replaces the variables in all strings of a value, at any depth. An unset variable without a default is empty.
func expand(value any, lookup func(string) (string, bool)) any {
	switch value := value.(type) {
	case string:
		return variable.ReplaceAllStringFunc(value, func(found string) string {
			m := variable.FindStringSubmatch(found)
			if v, ok := lookup(m[1]); ok {
				return v
			}
			return m[2]
		})
	case map[string]any:
		for k, v := range value {
			value[k] = expand(v, lookup)
		}
	case []any:
		for i, v := range value {
			value[i] = expand(v, lookup)
		}
	}
	return value
}
