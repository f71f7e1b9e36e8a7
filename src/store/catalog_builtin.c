/*
 * Freely distributable games, so that a new shelf is not empty: what they are called, since when
 * they are there, from whom, under which terms. Facts only; the descriptions are our own. Sorted by
 * id, which is the name of the project in lower case.
 */
#include "store/catalog.h"

#include "base/cleanup.h"

const struct lsp_catalog_entry lsp_catalog_builtin[] = {
	{.id = "0ad",
		.title = "0 A.D.",
		.release = "2009",
		.publisher = "Wildfire Games",
		.genre = "Strategy",
		.max_players = 8,
		.readme_de =
			"Echtzeitstrategie in der Antike: Siedlung gründen, Wirtschaft aufbauen, "
			"Nachbarn belagern. GPL-2.0+, Grafik CC BY-SA 3.0.",
		.readme_en =
			"Real-time strategy in antiquity: found a settlement, grow its economy, "
			"besiege the neighbours. GPL-2.0+, art CC BY-SA 3.0.",
		.readme_fr =
			"Stratégie en temps réel dans l'Antiquité : fonder une cité, faire "
			"grandir son économie, assiéger les voisins. GPL-2.0+, art CC BY-SA 3.0."},
	{.id = "armagetronad",
		.title = "Armagetron Advanced",
		.release = "2000",
		.publisher = "Armagetron Advanced team",
		.genre = "Action",
		.max_players = 16,
		.readme_de = "Lichträder in 3D: Wände ziehen und die anderen einsperren. GPL-2.0+.",
		.readme_en = "Light cycles in 3D: draw walls and box the others in. GPL-2.0+.",
		.readme_fr = "Motos de lumière en 3D : tracer des murs et enfermer les autres. "
			     "GPL-2.0+."},
	{.id = "assaultcube",
		.title = "AssaultCube",
		.release = "2006",
		.publisher = "Rabid Viper Productions",
		.genre = "Shooter",
		.max_players = 20,
		.readme_de = "Schneller, kleiner Mehrspieler-Shooter, der auch auf alten Rechnern "
			     "läuft. Frei weiterzugeben, eigene Lizenz.",
		.readme_en =
			"A fast, small multiplayer shooter that runs on old machines too. Free to "
			"pass on, under its own licence.",
		.readme_fr =
			"Jeu de tir rapide et léger, à plusieurs, même sur de vieilles machines. "
			"Libre diffusion, licence propre."},
	{.id = "freeciv",
		.title = "Freeciv",
		.release = "1996",
		.publisher = "The Freeciv Project",
		.genre = "Strategy",
		.max_players = 126,
		.readme_de =
			"Rundenstrategie: ein Volk von der Steinzeit bis ins Raumfahrtzeitalter "
			"führen. GPL-2.0+.",
		.readme_en = "Turn-based strategy: lead a people from the stone age to the age of "
			     "space. GPL-2.0+.",
		.readme_fr = "Stratégie au tour par tour : mener un peuple de l'âge de pierre à "
			     "l'âge spatial. GPL-2.0+."},
	{.id = "freedoom",
		.title = "Freedoom",
		.release = "2003",
		.publisher = "The Freedoom project",
		.genre = "Shooter",
		.max_players = 4,
		.readme_de = "Freie Spieldaten für Doom-Engines: zwei Kampagnen und ein "
			     "Deathmatch-Paket. BSD-Lizenz.",
		.readme_en = "Free game data for Doom engines: two campaigns and a deathmatch set. "
			     "BSD licence.",
		.readme_fr = "Données de jeu libres pour les moteurs Doom : deux campagnes et un "
			     "paquet deathmatch. Licence BSD."},
	{.id = "hedgewars",
		.title = "Hedgewars",
		.release = "2004",
		.publisher = "The Hedgewars Project",
		.genre = "Artillery",
		.max_players = 8,
		.readme_de = "Igel mit Bazookas, im Wechsel am Zug. GPL-2.0.",
		.readme_en = "Hedgehogs with bazookas, one turn at a time. GPL-2.0.",
		.readme_fr = "Des hérissons armés de bazookas, chacun son tour. GPL-2.0."},
	{.id = "luanti",
		.title = "Luanti",
		.release = "2010",
		.publisher = "The Luanti community",
		.genre = "Sandbox",
		.max_players = 0,
		.readme_de =
			"Plattform für Klötzchenwelten, früher Minetest: graben, bauen, eigene "
			"Spiele laden. LGPL-2.1+.",
		.readme_en = "A platform for voxel worlds, once called Minetest: dig, build, load "
			     "games of your own. LGPL-2.1+.",
		.readme_fr = "Plateforme de mondes en voxels, autrefois Minetest : creuser, bâtir, "
			     "charger ses propres jeux. LGPL-2.1+."},
	{.id = "megaglest",
		.title = "MegaGlest",
		.release = "2010",
		.publisher = "MegaGlest Team",
		.genre = "Strategy",
		.max_players = 8,
		.readme_de =
			"Echtzeitstrategie mit Fraktionen zwischen Magie und Technik. GPL-3.0, "
			"Grafik CC BY-SA 3.0.",
		.readme_en =
			"Real-time strategy with factions between magic and technology. GPL-3.0, "
			"art CC BY-SA 3.0.",
		.readme_fr = "Stratégie en temps réel, des factions entre magie et technique. "
			     "GPL-3.0, art CC BY-SA 3.0."},
	{.id = "openarena",
		.title = "OpenArena",
		.release = "2005",
		.publisher = "OpenArena Team",
		.genre = "Shooter",
		.max_players = 16,
		.readme_de = "Arena-Shooter auf der Quake-III-Engine mit freien Inhalten. GPL-2.0.",
		.readme_en = "Arena shooter on the Quake III engine with free content. GPL-2.0.",
		.readme_fr =
			"Jeu de tir en arène sur le moteur de Quake III, contenu libre. GPL-2.0."},
	{.id = "openra",
		.title = "OpenRA",
		.release = "2010",
		.publisher = "OpenRA developers",
		.genre = "Strategy",
		.max_players = 8,
		.readme_de = "Neue Engine für klassische Echtzeitstrategie. GPL-3.0.",
		.readme_en = "A new engine for classic real-time strategy. GPL-3.0.",
		.readme_fr =
			"Un nouveau moteur pour la stratégie en temps réel classique. GPL-3.0."},
	{.id = "openttd",
		.title = "OpenTTD",
		.release = "2004",
		.publisher = "OpenTTD Team",
		.genre = "Simulation",
		.max_players = 255,
		.readme_de = "Verkehrsimperium bauen: Züge, Busse, Schiffe, Flugzeuge, bis zu 15 "
			     "Firmen. GPL-2.0, auch die freien Grafiken.",
		.readme_en = "Build a transport empire: trains, buses, ships, planes, up to 15 "
			     "companies. GPL-2.0, the free graphics too.",
		.readme_fr =
			"Bâtir un empire du transport : trains, bus, bateaux, avions, jusqu'à 15 "
			"compagnies. GPL-2.0, graphismes libres compris."},
	{.id = "pingus",
		.title = "Pingus",
		.release = "1998",
		.publisher = "Ingo Ruhnke",
		.genre = "Puzzle",
		.max_players = 1,
		.readme_de = "Pinguine sicher ans Ziel bringen. GPL-3.0+.",
		.readme_en = "See the penguins safely home. GPL-3.0+.",
		.readme_fr = "Mener les pingouins à bon port. GPL-3.0+."},
	{.id = "red-eclipse",
		.title = "Red Eclipse",
		.release = "2011",
		.publisher = "Red Eclipse Team",
		.genre = "Shooter",
		.max_players = 32,
		.readme_de = "Arena-Shooter mit Parkour. zlib-Lizenz, Inhalte CC BY-SA 4.0.",
		.readme_en = "Arena shooter with parkour. zlib licence, content CC BY-SA 4.0.",
		.readme_fr =
			"Jeu de tir en arène avec parkour. Licence zlib, contenu CC BY-SA 4.0."},
	{.id = "sauerbraten",
		.title = "Cube 2: Sauerbraten",
		.release = "2004",
		.publisher = "Wouter van Oortmerssen and others",
		.genre = "Shooter",
		.max_players = 32,
		.readme_de = "Shooter, dessen Karten man gemeinsam im laufenden Spiel baut. "
			     "Engine unter zlib-Lizenz.",
		.readme_en = "Shooter whose maps are built together, in the running game. Engine "
			     "under the zlib licence.",
		.readme_fr = "Jeu de tir dont les cartes se construisent à plusieurs, en pleine "
			     "partie. Moteur sous licence zlib."},
	{.id = "supertux",
		.title = "SuperTux",
		.release = "2003",
		.publisher = "SuperTux Team",
		.genre = "Platformer",
		.max_players = 4,
		.readme_de = "Jump 'n' Run mit einem Pinguin. GPL-3.0+.",
		.readme_en = "A penguin's jump and run. GPL-3.0+.",
		.readme_fr = "Jeu de plateforme avec un manchot. GPL-3.0+."},
	{.id = "supertuxkart",
		.title = "SuperTuxKart",
		.release = "2007",
		.publisher = "SuperTuxKart Team",
		.genre = "Racing",
		.max_players = 8,
		.readme_de = "Kartrennen mit den Maskottchen freier Software, auch zu mehreren an "
			     "einem Bildschirm. GPL-3.0+.",
		.readme_en = "Kart racing with the mascots of free software, several on one screen "
			     "too. GPL-3.0+.",
		.readme_fr =
			"Course de karts avec les mascottes du logiciel libre, même à plusieurs "
			"sur un écran. GPL-3.0+."},
	{.id = "teeworlds",
		.title = "Teeworlds",
		.release = "2007",
		.publisher = "Magnus Auvinen and others",
		.genre = "Shooter",
		.max_players = 64,
		.readme_de = "Kugelige Figuren, Enterhaken, schnelle Gefechte in 2D. zlib-Lizenz, "
			     "Grafik CC BY-SA 3.0.",
		.readme_en =
			"Round creatures, grappling hooks, quick fights in 2D. zlib licence, art "
			"CC BY-SA 3.0.",
		.readme_fr =
			"Créatures rondes, grappins, combats rapides en 2D. Licence zlib, art CC "
			"BY-SA 3.0."},
	{.id = "unvanquished",
		.title = "Unvanquished",
		.release = "2012",
		.publisher = "Unvanquished Development",
		.genre = "Shooter",
		.max_players = 64,
		.readme_de =
			"Menschen gegen Außerirdische: Shooter und Basisbau in einem. GPL-3.0, "
			"Inhalte CC BY-SA.",
		.readme_en = "Humans against aliens: a shooter and a base builder in one. GPL-3.0, "
			     "content CC BY-SA.",
		.readme_fr = "Humains contre extraterrestres : jeu de tir et construction de base. "
			     "GPL-3.0, contenu CC BY-SA."},
	{.id = "warsow",
		.title = "Warsow",
		.release = "2005",
		.publisher = "Warsow Team",
		.genre = "Shooter",
		.max_players = 32,
		.readme_de = "Arena-Shooter in Comic-Grafik, bei dem Bewegung alles ist. GPL-2.0.",
		.readme_en =
			"Cartoon-style arena shooter in which movement is everything. GPL-2.0.",
		.readme_fr =
			"Jeu de tir en arène au style dessiné, où tout est mouvement. GPL-2.0."},
	{.id = "warzone2100",
		.title = "Warzone 2100",
		.release = "1999",
		.publisher = "Pumpkin Studios",
		.genre = "Strategy",
		.max_players = 10,
		.readme_de = "Echtzeitstrategie nach dem Zusammenbruch, mit selbst entworfenen "
			     "Einheiten. GPL-2.0+.",
		.readme_en =
			"Real-time strategy after the collapse, with units of your own design. "
			"GPL-2.0+.",
		.readme_fr =
			"Stratégie en temps réel après l'effondrement, avec des unités que l'on "
			"conçoit soi-même. GPL-2.0+."},
	{.id = "wesnoth",
		.title = "The Battle for Wesnoth",
		.release = "2003",
		.publisher = "The Battle for Wesnoth Project",
		.genre = "Strategy",
		.max_players = 9,
		.readme_de =
			"Rundenstrategie in einer Fantasiewelt, mit vielen Feldzügen. GPL-2.0+.",
		.readme_en =
			"Turn-based strategy in a fantasy world, with many campaigns. GPL-2.0+.",
		.readme_fr =
			"Stratégie au tour par tour dans un monde imaginaire, avec de nombreuses "
			"campagnes. GPL-2.0+."},
	{.id = "widelands",
		.title = "Widelands",
		.release = "2002",
		.publisher = "Widelands Development Team",
		.genre = "Strategy",
		.max_players = 8,
		.readme_de = "Aufbaustrategie mit langen Warenketten. GPL-2.0+.",
		.readme_en = "Settlement building with long chains of goods. GPL-2.0+.",
		.readme_fr =
			"Construction de colonies aux longues chaînes de production. GPL-2.0+."},
	{.id = "xonotic",
		.title = "Xonotic",
		.release = "2011",
		.publisher = "Team Xonotic",
		.genre = "Shooter",
		.max_players = 64,
		.readme_de = "Rasanter Arena-Shooter mit vielen Spielarten. GPL-3.0+.",
		.readme_en = "A breakneck arena shooter with many ways to play. GPL-3.0+.",
		.readme_fr = "Jeu de tir en arène à toute allure, aux nombreux modes. GPL-3.0+."},
};

const size_t lsp_catalog_builtin_count = LSP_ARRAY_SIZE(lsp_catalog_builtin);
