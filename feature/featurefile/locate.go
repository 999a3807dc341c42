package featurefile

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// lineOf returns the line of the member that a path such as "deps[0].select" names, or of the innermost one around
// it that can be found.
func lineOf(n *yaml.Node, path string) int {
	line := n.Line
	for path != "" {
		var step string
		step, path = nextStep(path)
		next, at := child(deref(n), step)
		if next == nil {
			break
		}
		n, line = next, at
	}
	return line
}

// nextStep cuts the first member name or list position off a path.
func nextStep(path string) (step, rest string) {
	path = strings.TrimPrefix(path, ".")
	end := strings.IndexAny(path[min(1, len(path)):], ".[")
	if end < 0 {
		return path, ""
	}
	return path[:end+1], path[end+1:]
}

// child returns the member or item of n that a step leads to and the line where it begins, or nil.
func child(n *yaml.Node, step string) (next *yaml.Node, line int) {
	if index, ok := strings.CutPrefix(step, "["); ok && n.Kind == yaml.SequenceNode {
		i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
		if err != nil || i < 0 || i >= len(n.Content) {
			return nil, 0
		}
		return n.Content[i], n.Content[i].Line
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == step {
			return n.Content[i+1], n.Content[i].Line
		}
	}
	return nil, 0
}
