package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
)

// The drawing: two panels side by side, the cost of one Child SA against N, both axes logarithmic.
const (
	width, height       = 990, 460
	panelWidth          = 340
	left, top, between  = 62, 64, 140
	panelHeight         = 320
	leastN, mostN       = 8.0, 25000.0
	leastCost, mostCost = 50e-6, 50e-3 // seconds
)

// look is how a way is drawn. The colours keep their contrast on white and on GitHub's dark background.
var look = []struct {
	way    result.Way
	colour string
	dash   string // those that hold traffic back are solid
}{
	{result.Floor, "#818b98", ""},
	{result.Apply, "#1f7ae0", ""},
	{result.InPlace, "#d1642a", ""},
	{result.Legacy, "#2e9c52", "6 4"},
	{result.IPBatch, "#a45bd1", "6 4"},
}

// plot draws the ways of a boot.
func plot(b *result.Boot) []byte {
	w := new(bytes.Buffer)
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13" role="img">
<title>Cost of moving one Child SA against the number of Child SAs</title>
<style>
text { fill: #1f2328 } .grid { stroke: #d1d9e0; stroke-width: 1 } .line { fill: none; stroke-width: 2.5; stroke-linejoin: round } .head { font-size: 15px; font-weight: 600 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .grid { stroke: #3d444d } }
</style>
`, width, height)
	for i, kind := range []result.Kind{result.PolicyBased, result.IfID} {
		p := panel{w, float64(left + i*(panelWidth+between))}
		p.axes(string(kind))
		p.lines(b, kind)
	}
	fmt.Fprintf(w, "<text x=\"%d\" y=\"24\" class=\"head\">Moving one dual-stack Child SA among N</text>\n", left)
	fmt.Fprintf(w, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">N Child SAs; dashed: traffic is not blocked meanwhile</text>\n</svg>\n", width/2, height-14)
	return w.Bytes()
}

type panel struct {
	w    *bytes.Buffer
	left float64
}

func (p *panel) x(n float64) float64 {
	return p.left + panelWidth*math.Log(n/leastN)/math.Log(mostN/leastN)
}

func (p *panel) y(seconds float64) float64 {
	return top + panelHeight*(1-math.Log(seconds/leastCost)/math.Log(mostCost/leastCost))
}

func (p *panel) axes(title string) {
	fmt.Fprintf(p.w, "<text x=\"%.0f\" y=\"%d\">%s</text>\n", p.left, top-14, title)
	for _, n := range []int{10, 100, 1000, 10000} {
		x := p.x(float64(n))
		fmt.Fprintf(p.w, "<path class=\"grid\" d=\"M%.1f %d v%d\"/>", x, top, panelHeight)
		fmt.Fprintf(p.w, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x, top+panelHeight+20, thousands(n))
	}
	for _, c := range []struct {
		seconds float64
		label   string
	}{{100e-6, "0.1 ms"}, {1e-3, "1 ms"}, {10e-3, "10 ms"}} {
		y := p.y(c.seconds)
		fmt.Fprintf(p.w, "<path class=\"grid\" d=\"M%.1f %.1f h%d\"/>", p.left, y, panelWidth)
		fmt.Fprintf(p.w, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", p.left-8, y+4, c.label)
	}
}

// lines draws a line for each way and its name at the line's end, names pushed apart where lines end close together.
func (p *panel) lines(b *result.Boot, kind result.Kind) {
	type label struct {
		x, y         float64
		name, colour string
	}
	var labels []label
	for _, l := range look {
		var path bytes.Buffer
		var at label
		for i := range b.Ways {
			m := &b.Ways[i]
			if m.Way != l.way || m.Kind != kind {
				continue
			}
			at = label{p.x(float64(m.N)), p.y(m.Each().Seconds()), string(l.way), l.colour}
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(path.Len(), 1)], at.x, at.y)
			fmt.Fprintf(p.w, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>", at.x, at.y, l.colour)
		}
		if at.name != "" {
			fmt.Fprintf(p.w, "<path class=\"line\" stroke=\"%s\" stroke-dasharray=\"%s\" d=\"%s\"/>\n", l.colour, l.dash, path.Bytes())
			labels = append(labels, at)
		}
	}
	slices.SortFunc(labels, func(a, b label) int { return int(math.Copysign(1, a.y-b.y)) })
	const apart = 16
	for i := range labels {
		if i > 0 {
			labels[i].y = max(labels[i].y, labels[i-1].y+apart)
		}
		l := &labels[i]
		fmt.Fprintf(p.w, "<text x=\"%.1f\" y=\"%.1f\" style=\"fill:%s\" font-weight=\"600\">%s</text>\n", l.x+8, l.y+4, l.colour, l.name)
	}
}
