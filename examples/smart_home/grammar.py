"""Sentence templates of the synthetic smart-home corpus.

In a template, `{room}` is replaced by a slot value. `(a|b|)` is replaced by one of the alternatives; the last one here
is empty. A leading `!` marks an imperative, which may follow "could you". The position of a template in its list
decides which split may use it, so add a new template at the end of its intent.
"""

from examples.smart_home.slots import phrases, select_pool

OUT_OF_SCOPE = "out_of_scope"

OPENINGS = phrases("hey house, okay house, hello, so, right, well, house, please, alright, oh")
ORDER_OPENINGS = phrases("""
    please, could you, can you, could you please, would you kindly, i want you to, i would like you to,
    go ahead and, hey house can you, okay house please, you need to, will you
""")
ENDINGS = phrases("please, thanks, thank you, now, right now, if you can, would you, okay, my dear, again")

_TEMPLATE_BLOCKS = {
    "light_on": """
        ! (turn|switch|put) on the {light}( in the {room}|)
        ! (turn|switch|put) the {light} on
        ! get the {light} going in the {room}
        ! turn the {room} {light} on
        i need (some|a bit of) light in the {room}
        i cant see (a thing|anything) in the {room}
        i need the {light} on( in the {room}|)
        (i want|i would like) the {light} on( in the {room}|)
        can we have the {light} on in the {room}
        ! get the {room} {light} going
        ! (put|get) (a|some) light on in the {room}
        its (dark|too dark) in the {room} (put|turn) on the {light}
        the {light} in the {room} should be on
        ! (light up|brighten up) the {room} (at {time}|in {duration}|)
        why (is|are) the {light} (still|) off( in the {room}|) turn it on
        ! leave the {light} on in the {room} for {duration}
        the {room} is (dark|too dark|pitch black) put the {light} on
        {light} on( in the {room}|)
    """,
    "light_off": """
        ! (turn|switch|put) off the {light}( in the {room}|)
        ! (turn|switch|put) the {light} off
        ! shut the {light} off( in the {room}|)
        ! turn the {room} {light} off
        nobody is in the {room} (so|) the {light} can go off
        the {light} in the {room} (got|was|were) left on
        ! make the {room} dark (put the {light} out|)
        i (want|need|would like) the {light} off( in the {room}|)
        the {room} is empty (so|) put the {light} off
        ! shut off (all|) the {light} in the {room}
        who left the {light} on( in the {room}|)
        no need for the {light} in the {room}
        ! switch the {room} {light} off (at {time}|in {duration})
        the {light} (should|must) not be on( in the {room}|)
        i am going to sleep put the {light} out
        we dont need the {light} on in the {room}
        we are (done|finished) in the {room} (no need for the {light}|put the {light} off)
        {light} off( in the {room}|)
    """,
    "light_brightness": """
        ! dim the {light}( in the {room}|)( to {brightness}|)
        ! (set|put) the {light}( in the {room}|) to {brightness}
        ! make it (brighter|darker|less bright) in the {room}
        ! turn (up|down) the {light}( in the {room}|)
        ! turn the {room} {light} (up|down) to {brightness}
        its (too bright|a bit dark|a bit dim) in the {room} turn the {light} (up|down)
        the {light} (is|are) too (bright|dim|dark)( in the {room}|)
        ! lower the {room} {light}( to {brightness}|)
        i want the {light} at {brightness}( in the {room}|)
        ! raise the {light} (to {brightness}|a bit)
        ! bring the {light} (up|down) to {brightness}
        ! make the {light} (softer|stronger) in the {room}
        (softer|stronger|{brightness}) light in the {room}
        ! (increase|reduce) the brightness( of the {light}| in the {room}|)
        ! make the {light} (brighter|darker|dimmer|{brightness})( in the {room}|)
        could the {light} be (a little|slightly) (brighter|dimmer|lower)
        ! turn on the {light} at {brightness}( {date}|)
        {room} {light} (to|at) {brightness}
    """,
    "light_colour": """
        ! (make|turn) the {light} {colour}( in the {room}|)
        ! (set|change|switch) the {light}( in the {room}|) to {colour}
        ! (make|turn) the {room} {light} {colour}
        ! change the colour of the {light} to {colour}
        (i want|give me some|how about some) {colour} (light|lights) in the {room}
        ! turn the {room} {colour}
        ! give me {colour} light in the {room}
        ! switch the {room} to {colour} light
        can the {light} (be|go) {colour}( {date}|)
        ! put on the {colour} light in the {room}
        ! make it {colour} in the {room}
        how about {colour} (for the {light}|light) in the {room}
        the {light} should be (a bit more|) {colour}( in the {room}|)
        ! set the {room} to {colour}
        i am (bored of|tired of) {colour} make the {light} {colour}
        lets have the {light} a bit more {colour}( in the {room}|)
        ! turn the {light} on in {colour}
        {room} {light} in {colour}
    """,
    "device_switch": """
        ! (turn|switch|put) (on|off) the {device}( in the {room}|)
        ! (turn|switch|put) the {device} (on|off)
        ! get the {device} (on|going)( in the {room}|)
        ! (start|stop) the {device}( in the {room}|)
        is the {device} (off|on) if not switch it (off|on)
        ! turn the {room} {device} (on|off)
        i need the {device} (on|off) in the {room}
        i want the {device} (on|off)( in the {room}|)
        the {device} can (go off|stop|come on)
        ! run the {device}( for {duration}|)
        ! (shut|power) (off|down) the {device}( in the {room}|)
        ! power the {device} (on|off|down)
        ! put the {device} on at {time}
        did i (leave|let) the {device} (on|run) (turn|switch) it off
        ! have the {device} on (when i get home|by {time})
        ! let the {device} run (for {duration}|until {time})
        ! switch the {device} (on|off) in {duration}
        {device} (on|off)( in the {room}|)
    """,
    "thermostat_set": """
        ! set the (heating|thermostat|temperature)( in the {room}|) to {temperature}
        ! turn the heating (up|down)( to {temperature}|)( in the {room}|)
        ! (warm up|heat up|cool down) the {room}( to {temperature}|)
        ! make it (warmer|cooler|colder|hotter) in the {room}
        ! set the {room} to {temperature}
        i am (freezing|cold|too hot|boiling) in the {room}
        its (freezing|too hot|cold) in the {room}( turn the heating up| turn the heating down|)
        ! (raise|lower) the (heating|temperature)( to {temperature}| in the {room})
        i want the {room} at {temperature}( by {time}|)
        ! heat the {room} to {temperature}
        ! bring the {room} (up|down) to {temperature}
        ! keep the {room} at {temperature}( for {duration}|)
        ! put the heating on( in the {room}|)( at {temperature}|)
        ! (turn|switch) (on|off) the heating( in the {room}|)
        {temperature} is too (warm|cold) for the {room}
        ! make the {room} a (little|touch) (warmer|cooler)
        the {room} should be {temperature} (at|by) {time}
        {temperature} in the {room}
    """,
    "thermostat_query": """
        (what is|whats) the temperature( in the {room}|)
        how (warm|cold|hot) is (it in the {room}|the {room})
        ! tell me (how warm|how cold) the {room} is
        is the heating (on|off)( in the {room}|)
        what is the (heating|thermostat) set to( in the {room}|)
        is the {room} at {temperature}( yet|)
        ! check (the temperature|how warm it is) in the {room}
        is it (warmer|colder) than {temperature} in the {room}
        how many degrees (is it|do we have) in the {room}
        did you (set|turn) the heating (to {temperature}|down|up)
        has the {room} (reached|got to) {temperature}( yet|)
        ! give me the temperature (for|in) the {room}
        is the {room} (too warm|too cold|freezing)
        what was the temperature in the {room} (at {time}|{date})
        when will the {room} be (warm|{temperature})
        ! tell me if the {room} is (too warm|too cold|{temperature})
        is it {temperature} or (more|less) in the {room}
        temperature in the {room}
    """,
    "alarm_set": """
        ! set (an|my|the) alarm for {time}( {date}|)
        ! wake me( up|) at {time}( {date}|)
        ! get me up at {time}( {date}|)
        ! wake me( up|) in {duration}
        i (need|have) to be (up|awake) (at|by) {time}( {date}|)
        alarm (at|for) {time}( {date}|)
        ! make sure i am awake (at|by) {time}
        ! set the alarm {date} (at|for) {time}
        ! ring the alarm at {time}
        ! put an alarm on for {time}( {date}|)
        i want to (get up|wake up) at {time}( {date}|)
        i must not sleep (past|after) {time}
        ! give me an alarm (in {duration}|at {time})
        ! add an alarm for {time}( {date}|)
        ! let me sleep (for {duration}|until {time}|but not past {time})
        ! wake me with an alarm (in {duration}|at {time})
        i have to leave early {date} so wake me at {time}
        {time} alarm( {date}|)
    """,
    "timer_set": """
        ! set a timer for {duration}
        ! start a {duration} timer
        ! count {duration} for the {item}
        ! count down {duration}
        ! let me know (when|once) {duration} (is up|are over|have passed)
        timer for {duration}
        ! give me (a {duration} timer|{duration} on the clock)
        ! set a {duration} timer for the {item}
        ! tell me in {duration} that the {item} (is|are) done
        ! put a timer on for {duration}
        (i need|give me) a timer (for|of) {duration}
        ! alert me (after|once) {duration} (is up|have passed)
        ! alert me in {duration}
        ! (start|begin) counting {duration}
        the {item} (needs|takes|need) {duration} (tell me when its done|let me know)
        ! tell me when {duration} (is up|are over)
        ! keep an eye on the {item} for {duration}
        {duration} (on the timer|timer)
    """,
    "reminder_set": """
        ! remind me to {task}( {date}|)( at {time}|)
        ! set a reminder to {task}( at {time}| {date}|)
        ! tell me (at {time}|in {duration}) that i have to {task}
        ! remind me (at {time}|{date}|in {duration}) to {task}
        ! let me know at {time} (that i should|to) {task}
        ! remind me to (call|ring|phone) {contact}( {date}| at {time}|)
        i (must not|cannot) forget to {task}( {date}|)
        dont let me forget to {task}( {date}|)
        ! make a note( for {date}|) (that i have to|to) {task}
        ! alert me {date} to {task}
        ! add a reminder (for {date}|for {time}) to {task}
        ! give me a reminder (at {time}|{date}) to {task}
        i have to {task} at {time} (please tell me|remind me)
        ! remind me to (buy|get) {item}( {date}|)
        ! remind me about the {item} (in {duration}|at {time})
        {date} i need to {task} (remind me|let me know)
        reminder (for {date}|at {time}) {task}
        ! put in my diary to {task} {date}
    """,
    "music_play": """
        ! play {song}( by {artist}|)
        ! play (some|) {genre}( in the {room}|)
        ! put on (some|) {genre}
        ! put {song} on( in the {room}|)
        ! play (something|anything|a song) by {artist}
        i (want|would like) to (hear|listen to) {song}
        ! start (some {genre}|{song}|playing {song})
        ! play {artist}( in the {room}|)
        lets (hear|have) (some|a bit of) {genre}
        i am in the mood for {genre}
        ! turn on (some|) {genre}( in the {room}|)
        i want (some|to hear some) {genre}( in the {room}|)
        ! play {genre} (quietly|softly|loud)( in the {room}|)
        ! play {genre} (for {duration}|until {time})
        what about (some|) {artist}( in the {room}|)
        ! let me hear (something by|) {artist}
        ! switch the music to (some|) {genre}
        {artist} in the {room}
    """,
    "volume_set": """
        ! turn (up|down) the (volume|music|sound)( in the {room}|)
        ! set the volume to {volume}( in the {room}|)
        ! make (it|the music) (louder|quieter)( in the {room}|)
        ! turn (it|the music) (up|down)( to {volume}|)
        ! play it (louder|quieter|more quietly)( in the {room}|)
        ! put the (volume|music) (at|on|to) {volume}
        its too (loud|quiet) in the {room}
        ! (raise|lower) the (volume|sound)( to {volume}|)
        i (cant|can hardly) hear the music in the {room}
        ! (mute|silence) the (music|{device})( in the {room}|)
        ! bring the (music|{device}) (up|down) to {volume}
        ! (turn|put) the sound (up|down)( in the {room}| to {volume})
        volume (up|down|to {volume})
        i want the (music|sound) at {volume}
        the {genre} is too (loud|quiet)( in the {room}|)
        can the music be (louder|quieter)( in the {room}|)
        ! keep the (music|{device}) at {volume}( until {time}|)
        {volume} in the {room}
    """,
    "scene_start": """
        ! (start|activate) {scene}( in the {room}|)
        ! (switch|turn) on {scene}( in the {room}|)
        ! put the house (on|into) {scene}
        its time for {scene}
        ! set the {room} to {scene}
        ! run {scene}( at {time}|)
        ! get (everything|the {room}) ready for {scene}
        ! switch (the house|the {room}) to {scene}
        i (want|would like) {scene}( in the {room}|)
        ! turn {scene} (on|off)
        ! set {scene}( for {time}|)
        ! make it {scene} (in here|in the {room})
        (we are|lets get) (ready for|started with) {scene}
        ! play {scene}( in the {room}|)
        ! put {scene} on( for {duration}|)
        lets (do|start|have) {scene}( {date}|)
        ! change (it|the {room}) from {scene} to {scene}
        {scene}( in the {room}|)
    """,
    "shopping_add": """
        ! add {item} to (the|my) (shopping list|list)
        ! put {item} on the (shopping list|list)
        ! write {item} on the list
        we (need|are out of|have no more|have run out of) {item}
        i need to (buy|get) {item}( {date}|)
        ! add {item} and {item}( to the list|)
        there is no more {item}( in the {room}|)
        ! get (some|more) {item}( {date}|)
        ! order (some|more) {item}
        ! put down {item} for {date}
        ! remember {item} (when we go shopping|for the shopping)
        the {item} (has|have) run out
        ! list {item}( and {item}|)
        i want {item} on the list
        ! set {item} down on the shopping list
        dont let me forget the {item}( at the shop|)
        ! buy {item}( {date}|)
        {item} (on|to) the list
    """,
    "call_contact": """
        ! call {contact}( on the phone|)
        ! (ring|phone) {contact}( for me|)
        ! get {contact} on the (phone|line)
        i (want|need) to (talk|speak) to {contact}
        ! start a call (with|to) {contact}
        ! make a (call|phone call) to {contact}
        ! place a (call|phone call) (to|with) {contact}
        ! give {contact} a (call|ring)
        ! put me through to {contact}
        ! call {contact} (in {duration}|at {time})
        ! ring {contact} (at home|on the mobile)
        ! see if i can (call|talk to|speak to) {contact}
        could i (talk|speak) to {contact}
        ! set up a call with {contact}( for {time}|)
        ! try {contact} (again|on the phone)
        ! let me (talk|speak) to {contact}
        ! video call {contact}( in the {room}|)
        is {contact} (around|at home) give them a ring
    """,
    OUT_OF_SCOPE: """
        my (sister|neighbour|cousin) painted (her|the) {room} {colour}
        who (invented|makes) the {device}
        the {light} at {place} (was|were) (broken|too bright|lovely)
        what is the temperature in {place}( {date}|)
        who (sings|wrote) {song}
        i set an alarm for {time} and slept through it
        ! tell me a joke about {topic}
        {contact} called me {date}
        how much (is|are) {item} at the shop
        it took {duration} to get to {place}
        i forgot to {task} again
        (do you|does anybody) like {genre}
        {contact} turned off the {device} at work
        ! book (a flight|a train|a hotel) to {place}
        why is (the sky|the sea|grass) {colour}
        last night i dreamt about {topic} in the {room}
        when (was|were) {artist} born
        how (far|many miles) is it to {place}
        ! explain {topic}( to me|)
        i (had|saw) a {colour} {device} when i was a child
        is {artist} playing in {place} {date}
        what do you think about {topic}
        we (ate|made) {item} and {item} {date}
        the {room} was {temperature} when we moved in
        i wish somebody else would {task}
        how do you (spell|say|pronounce) {artist}
        ! write a (poem|story) about {topic}
        (how|where) can i (fix|sell|repair) a {device}
        {contact} has a {light} just like ours
        i love (the sound of|) {genre} (at|on a trip to) {place}
        who won the (game|match|vote) in {place} {date}
        the film about {topic} lasts {duration}
        ! translate {item} into (spanish|german|french)
        did {contact} (buy|like) the {colour} {light}
        are you (happy|tired|a real person|asleep)( {date}|)
        my {device} cost (more|less) than the {light}
        does {item} go with {item}
        (somebody|he|she) left the {light} on at {place}
        what time is it in {place}
        it was so loud in {place} {date}
        ! find me a (cheap|new|second hand) {device}
        the meeting with {contact} is at {time}
        (is|are) the {light} or the {device} using more power
        i think {colour} does not suit the {room}
        my (timer|alarm|phone) broke (on the way to {place}|{date})
    """,
}

TEMPLATES = {intent: phrases(block) for intent, block in _TEMPLATE_BLOCKS.items()}
INTENTS = tuple(TEMPLATES)


def templates(intent: str, pool: str) -> tuple[str, ...]:
    """Return the templates of one intent that a pool may use.

    Args:
        intent: One of `INTENTS`.
        pool: "train", "validation" or "test".

    Raises:
        KeyError: The intent is unknown.
        ValueError: The pool is unknown.
    """
    return select_pool(TEMPLATES[intent], pool)
